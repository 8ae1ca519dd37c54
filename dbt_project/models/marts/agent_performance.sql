{{ config(indexes=[{'columns': ['location_id', 'agent_id'], 'unique': true}]) }}

with agents as (

    select * from {{ ref('dim_agents') }}

),

leads as (

    select * from {{ ref('dim_leads') }}

),

communications as (

    select * from {{ ref('fct_communications') }}

),

appointments as (

    select * from {{ ref('fct_appointments') }}

),

opportunities as (

    select * from {{ ref('fct_opportunities') }}

),

first_responses as (

    select
        lead_id,
        min(occurred_at) as first_outbound_at
    from communications
    where direction = 'outbound' and actor = 'agent'
    group by lead_id

),

lead_figures as (

    select
        leads.location_id,
        leads.assigned_agent_id as agent_id,
        count(*) as leads_assigned,
        count(case when leads.is_open then 1 end) as leads_open,
        avg({{ seconds_between('leads.created_at', 'first_responses.first_outbound_at') }}) / 60
            as avg_first_response_minutes
    from leads
    left join first_responses
        on
            leads.lead_id = first_responses.lead_id
            and leads.created_at <= first_responses.first_outbound_at
    group by leads.location_id, leads.assigned_agent_id

),

touch_figures as (

    select
        location_id,
        agent_id,
        count(*) as touches,
        count(case when channel = 'call' and status = 'answered' then 1 end) as calls_answered,
        coalesce(sum(duration_seconds), 0) as talk_seconds
    from communications
    where direction = 'outbound' and actor = 'agent'
    group by location_id, agent_id

),

appointment_figures as (

    select
        location_id,
        agent_id,
        count(case when status = 'kept' then 1 end) as appointments_kept,
        count(case when status = 'no_show' then 1 end) as appointments_no_show
    from appointments
    group by location_id, agent_id

),

opportunity_figures as (

    select
        location_id,
        agent_id,
        count(case when status = 'won' then 1 end) as opportunities_won,
        coalesce(sum(case when status = 'won' then value_cents end), 0) as won_value_cents
    from opportunities
    group by location_id, agent_id

),

final as (

    select
        agents.agent_id,
        agents.location_id,
        agents.name as agent_name,
        cast(coalesce(lead_figures.leads_assigned, 0) as integer) as leads_assigned,
        cast(coalesce(lead_figures.leads_open, 0) as integer) as leads_open,
        cast(lead_figures.avg_first_response_minutes as double precision) as avg_first_response_minutes,
        cast(coalesce(touch_figures.touches, 0) as integer) as touches,
        cast(coalesce(touch_figures.calls_answered, 0) as integer) as calls_answered,
        cast(coalesce(touch_figures.talk_seconds, 0) as bigint) as talk_seconds,
        cast(coalesce(appointment_figures.appointments_kept, 0) as integer) as appointments_kept,
        cast(coalesce(appointment_figures.appointments_no_show, 0) as integer) as appointments_no_show,
        cast(coalesce(opportunity_figures.opportunities_won, 0) as integer) as opportunities_won,
        cast(coalesce(opportunity_figures.won_value_cents, 0) as bigint) as won_value_cents
    from agents
    left join lead_figures
        on agents.location_id = lead_figures.location_id and agents.agent_id = lead_figures.agent_id
    left join touch_figures
        on agents.location_id = touch_figures.location_id and agents.agent_id = touch_figures.agent_id
    left join appointment_figures
        on
            agents.location_id = appointment_figures.location_id
            and agents.agent_id = appointment_figures.agent_id
    left join opportunity_figures
        on
            agents.location_id = opportunity_figures.location_id
            and agents.agent_id = opportunity_figures.agent_id

)

select * from final
