with source as (

    {{ select_source('raw_ghl', 'pipelines') }}

),

final as (

    select
        location_id,
        id as pipeline_id,
        name as pipeline_name
    from source

)

select * from final
