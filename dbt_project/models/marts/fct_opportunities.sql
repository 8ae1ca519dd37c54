{{
    config(
        indexes=[
            {'columns': ['location_id', 'opportunity_id'], 'unique': true},
            {'columns': ['lead_id']},
        ]
    )
}}

with opportunities as (

    select * from {{ ref('stg_ghl__opportunities') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

pipelines as (

    select * from {{ ref('stg_ghl__pipelines') }}

),

stages as (

    select * from {{ ref('stg_ghl__pipeline_stages') }}

),

final as (

    select
        opportunities.opportunity_id,
        surviving.lead_id,
        opportunities.location_id,
        opportunities.agent_id,
        pipelines.pipeline_name,
        stages.stage_name,
        stages.stage_position,
        opportunities.status,
        opportunities.value_cents,
        opportunities.source,
        opportunities.created_at,
        opportunities.stage_changed_at,
        case when opportunities.status != 'open' then opportunities.status_changed_at end as closed_at,
        opportunities.known_at
    from opportunities
    inner join surviving
        on
            opportunities.location_id = surviving.location_id
            and opportunities.contact_id = surviving.contact_id
    left join pipelines
        on
            opportunities.location_id = pipelines.location_id
            and opportunities.pipeline_id = pipelines.pipeline_id
    left join stages
        on
            opportunities.location_id = stages.location_id
            and opportunities.pipeline_id = stages.pipeline_id
            and opportunities.stage_id = stages.stage_id

)

select * from final
