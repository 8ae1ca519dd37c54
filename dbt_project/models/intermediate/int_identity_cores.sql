{{
    config(
        indexes=[{'columns': ['record_number'], 'unique': true}]
    )
}}

with recursive records as (

    select * from {{ ref('int_identity_records') }}

),

ties as (

    select * from {{ ref('int_identity_ties') }}

),

{{ lowest_connected('ties') }},

final as (

    select
        records.record_number,
        coalesce(components.lowest_number, records.record_number) as core_number
    from records
    left join components on records.record_number = components.record_number

)

select * from final
