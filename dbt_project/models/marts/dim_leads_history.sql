{{
    config(
        tags=['after_scores'],
        indexes=[
            {'columns': ['lead_id', 'valid_from'], 'unique': true},
            {'columns': ['location_id', 'valid_from']},
        ]
    )
}}

with versions as (

    {{ snapshot_versions(
        ref('snap_leads'), ref('int_lead_states'), 'observed_at',
        ['lead_id']
    ) }}

),

final as (

    select
        lead_id,
        location_id,
        cast(version_number as integer) as version_number,
        status,
        pipeline_name,
        stage_name,
        assigned_agent_id,
        score_tier,
        dbt_valid_from as valid_from,
        dbt_valid_to as valid_to,
        dbt_valid_to is null as is_current
    from versions

)

select * from final
