{#
    A table, although it is but a join: a view would fall with dim_leads whenever that is rebuilt
    and be missing until the leads are scored again.
#}
{{
    config(
        tags=['after_scores'],
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
            {'columns': ['location_id', 'rank']},
        ]
    )
}}

with scores as (

    select * from {{ source('ml', 'current_lead_scores') }}

),

leads as (

    select * from {{ ref('dim_leads') }}

),

final as (

    select
        scores.lead_id,
        scores.location_id,
        leads.contact_id,
        leads.first_name,
        leads.last_name,
        scores.score,
        scores.tier,
        scores.rank,
        scores.reasons,
        leads.assigned_agent_id,
        leads.assigned_agent_name,
        leads.last_inbound_at,
        leads.last_outbound_at,
        scores.model_version,
        scores.as_of
    from scores
    inner join leads on scores.lead_id = leads.lead_id
    where leads.is_open

)

select * from final
