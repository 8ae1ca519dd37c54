{#
    Everything that the features of a lead can be made from: while the digest stays, the training
    rows stay. A test holds the relations here to those of the macro.
#}

with spine as (

    select * from {{ ref('int_training_spine') }}

),

feature_events as (

    select * from {{ ref('int_feature_events') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

agent_days as (

    select * from {{ ref('int_agent_days') }}

),

points as (

    select
        lead_id,
        sum({{ row_digest(['location_id', 'split_group', 'as_of', 'label']) }}) as digest
    from spine
    group by lead_id

),

histories as (

    -- What the lead's events were made from, as int_feature_events kept it.
    select * from {{ ref('int_feature_events_built') }}

),

agents as (

    select distinct
        lead_id,
        agent_id
    from feature_events
    where agent_id is not null

),

agent_loads as (

    -- Whichever of the lead's agents a point goes by, and what others' leads made of its day.
    select
        spine.lead_id,
        sum({{ row_digest(['spine.as_of', 'agent_days.*']) }}) as digest
    from spine
    inner join agents on spine.lead_id = agents.lead_id
    inner join agent_days
        on
            spine.location_id = agent_days.location_id
            and agents.agent_id = agent_days.agent_id
            and {{ local_date('spine.as_of', "'UTC'") }} = agent_days.day
    group by spine.lead_id

),

final as (

    select
        points.lead_id,
        {{ row_digest([
            'points.digest',
            'histories.inputs_digest',
            'agent_loads.digest',
            'leads.*',
            'locations.timezone',
        ]) }} as inputs_digest
    from points
    inner join leads on points.lead_id = leads.lead_id
    left join locations on leads.location_id = locations.location_id
    left join histories on points.lead_id = histories.lead_id
    left join agent_loads on points.lead_id = agent_loads.lead_id

)

select * from final
