with source as (

    {{ select_source('raw_ghl', 'tasks') }}

),

final as (

    select
        location_id,
        id as task_id,
        contact_id,
        title,
        assigned_to as agent_id,
        due_date as due_at,
        coalesce(completed, false) as is_completed,
        date_added as created_at,
        _known_at as known_at
    from source

)

select * from final
