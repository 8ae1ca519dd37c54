{{ config(indexes=[{'columns': ['day'], 'unique': true}]) }}

with numbers as (

    -- Sixty years.
    {{ dbt.generate_series(21915) }}

),

final as (

    select cast('1980-01-01' as date) + cast(generated_number as integer) - 1 as day
    from numbers

)

select * from final
