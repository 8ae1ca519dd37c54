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

speed as (

    select * from {{ ref('fct_speed_to_lead') }}

),

outcomes as (

    select * from {{ ref('int_lead_outcomes') }}

),

lead_figures as (

    -- A lead counts with the agent who owns it now, its response time too, whoever answered it.
    select
        leads.location_id,
        leads.assigned_agent_id as agent_id,
        count(*) as leads_assigned,
        count(case when leads.is_open then 1 end) as leads_open,
        count(outcomes.converted_at) as leads_converted,
        avg(speed.minutes_to_agent_touch) as avg_first_response_minutes,
        avg(speed.business_minutes_to_agent_touch) as avg_first_response_business_minutes
    from leads
    left join speed on leads.lead_id = speed.lead_id
    left join outcomes on leads.lead_id = outcomes.lead_id
    group by leads.location_id, leads.assigned_agent_id

),

answer_figures as (

    select
        location_id,
        answered_by_agent_id as agent_id,
        count(*) as leads_answered_first
    from speed
    where answered_by_agent_id is not null
    group by location_id, answered_by_agent_id

),

weekly_figures as (

    select
        communications.location_id,
        communications.agent_id,
        {{ dbt.date_trunc('week', local_date('communications.occurred_at', 'agents.timezone')) }} as week,
        count(distinct communications.lead_id) as leads_reached
    from communications
    inner join agents
        on
            communications.location_id = agents.location_id
            and communications.agent_id = agents.agent_id
    where
        communications.direction = 'outbound'
        and communications.actor = 'agent'
        and communications.occurred_at < {{ scoring_moment() }}
        and communications.occurred_at >= {{ days_before(84, scoring_moment()) }}
    group by
        communications.location_id,
        communications.agent_id,
        {{ dbt.date_trunc('week', local_date('communications.occurred_at', 'agents.timezone')) }}

),

capacity_figures as (

    select
        location_id,
        agent_id,
        max(leads_reached) as capacity_leads_per_week
    from weekly_figures
    group by location_id, agent_id

),

automation_figures as (

    select
        leads.location_id,
        leads.assigned_agent_id as agent_id,
        count(*) as automated_messages,
        sum(
            case communications.channel
                when 'sms' then {{ var('minutes_saved_by_sms') }}
                when 'email' then {{ var('minutes_saved_by_email') }}
            end
        ) as minutes_saved
    from communications
    inner join leads on communications.lead_id = leads.lead_id
    where
        communications.direction = 'outbound'
        and communications.actor = 'automation'
        and communications.channel in ('sms', 'email')
        and communications.occurred_at < {{ scoring_moment() }}
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
    where
        direction = 'outbound'
        and actor = 'agent'
        and occurred_at < {{ scoring_moment() }}
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
        cast(capacity_figures.capacity_leads_per_week as integer) as capacity_leads_per_week,
        {{ fraction('coalesce(lead_figures.leads_open, 0)', 'capacity_figures.capacity_leads_per_week') }}
            as weeks_of_load,
        cast(lead_figures.avg_first_response_minutes as double precision) as avg_first_response_minutes,
        cast(lead_figures.avg_first_response_business_minutes as double precision)
            as avg_first_response_business_minutes,
        cast(coalesce(answer_figures.leads_answered_first, 0) as integer) as leads_answered_first,
        cast(coalesce(lead_figures.leads_converted, 0) as integer) as leads_converted,
        {{ fraction('lead_figures.leads_converted', 'lead_figures.leads_assigned') }} as conversion_rate,
        cast(coalesce(touch_figures.touches, 0) as integer) as touches,
        cast(coalesce(touch_figures.calls_answered, 0) as integer) as calls_answered,
        cast(coalesce(touch_figures.talk_seconds, 0) as bigint) as talk_seconds,
        cast(coalesce(appointment_figures.appointments_kept, 0) as integer) as appointments_kept,
        cast(coalesce(appointment_figures.appointments_no_show, 0) as integer) as appointments_no_show,
        cast(coalesce(opportunity_figures.opportunities_won, 0) as integer) as opportunities_won,
        cast(coalesce(opportunity_figures.won_value_cents, 0) as bigint) as won_value_cents,
        cast(coalesce(automation_figures.automated_messages, 0) as integer) as automated_messages,
        cast(coalesce(automation_figures.minutes_saved, 0) / 60.0 as double precision) as hours_saved
    from agents
    left join lead_figures
        on agents.location_id = lead_figures.location_id and agents.agent_id = lead_figures.agent_id
    left join answer_figures
        on agents.location_id = answer_figures.location_id and agents.agent_id = answer_figures.agent_id
    left join capacity_figures
        on agents.location_id = capacity_figures.location_id and agents.agent_id = capacity_figures.agent_id
    left join automation_figures
        on
            agents.location_id = automation_figures.location_id
            and agents.agent_id = automation_figures.agent_id
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
