{{ config(tags=['after_scores']) }}

with leads as (

    select * from {{ ref('int_leads') }}

),

lead_status as (

    select * from {{ ref('int_lead_status') }}

),

opportunities as (

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

scores as (

    select * from {{ source('ml', 'current_lead_scores') }}

),

ranked_opportunities as (

    -- Of several deals the open one counts, and of those the one that moved last.
    select
        surviving.lead_id,
        pipelines.pipeline_name,
        stages.stage_name,
        row_number() over (
            partition by surviving.lead_id
            order by
                case when opportunities.status = 'open' then 0 else 1 end asc,
                opportunities.stage_changed_at desc,
                opportunities.opportunity_id asc
        ) as place
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

),

final as (

    select
        leads.lead_id,
        leads.location_id,
        lead_status.status,
        ranked_opportunities.pipeline_name,
        ranked_opportunities.stage_name,
        leads.assigned_agent_id,
        case when lead_status.is_open then scores.tier end as score_tier,
        {{ scoring_moment() }} as observed_at
    from leads
    inner join lead_status on leads.lead_id = lead_status.lead_id
    left join ranked_opportunities
        on leads.lead_id = ranked_opportunities.lead_id and ranked_opportunities.place = 1
    left join scores on leads.lead_id = scores.lead_id

)

select * from final
