with source as (

    {{ select_source('raw_ghl', 'workflows') }}

),

final as (

    select
        location_id,
        id as workflow_id,
        name as workflow_name,
        status
    from source

)

select * from final
