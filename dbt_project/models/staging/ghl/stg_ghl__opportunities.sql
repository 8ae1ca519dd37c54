with source as (

    {{ select_source('raw_ghl', 'opportunities') }}

),

final as (

    select
        location_id,
        id as opportunity_id,
        contact_id,
        pipeline_id,
        pipeline_stage_id as stage_id,
        lower(status) as status,
        {{ clean_text('source') }} as source,
        cast(round(monetary_value * 100) as bigint) as value_cents,
        assigned_to as agent_id,
        created_at,
        coalesce(updated_at, created_at) as updated_at,
        coalesce(last_status_change_at, updated_at, created_at) as status_changed_at,
        coalesce(last_stage_change_at, updated_at, created_at) as stage_changed_at,
        _known_at as known_at,
        _backfill as is_backfill
    from source

)

select * from final
