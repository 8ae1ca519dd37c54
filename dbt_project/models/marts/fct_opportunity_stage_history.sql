{{
    config(
        indexes=[
            {'columns': ['location_id', 'opportunity_id', 'stay_number'], 'unique': true},
            {'columns': ['lead_id', 'entered_at']},
        ]
    )
}}

with opportunity_stages as (

    select * from {{ ref('int_opportunity_stages') }}

),

pipelines as (

    select * from {{ ref('stg_ghl__pipelines') }}

),

stages as (

    select * from {{ ref('stg_ghl__pipeline_stages') }}

),

final as (

    select
        opportunity_stages.location_id,
        opportunity_stages.opportunity_id,
        opportunity_stages.stay_number,
        opportunity_stages.lead_id,
        opportunity_stages.agent_id,
        pipelines.pipeline_name,
        stages.stage_name,
        stages.stage_position,
        opportunity_stages.entered_at,
        opportunity_stages.left_at,
        {{
            days_between(
                'opportunity_stages.entered_at',
                'coalesce(opportunity_stages.left_at, ' ~ scoring_moment() ~ ')'
            )
        }} as days_in_stage,
        opportunity_stages.left_by,
        opportunity_stages.is_current,
        opportunity_stages.is_past_unknown,
        opportunity_stages.entered_known_at,
        opportunity_stages.left_known_at
    from opportunity_stages
    left join pipelines
        on
            opportunity_stages.location_id = pipelines.location_id
            and opportunity_stages.pipeline_id = pipelines.pipeline_id
    left join stages
        on
            opportunity_stages.location_id = stages.location_id
            and opportunity_stages.pipeline_id = stages.pipeline_id
            and opportunity_stages.stage_id = stages.stage_id

)

select * from final
