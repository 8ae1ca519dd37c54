{{ config(indexes=[{'columns': ['lead_id'], 'unique': true}]) }}

with recursive leads as (

    select
        *,
        lower(first_name || ' ' || last_name) as full_name
    from {{ ref('int_leads') }}
    where deleted_at is null

),

matches as (

    -- Each lead with the oldest one of its email, and of its phone and name.
    select
        lead_id,
        first_value(lead_id) over (
            partition by location_id, email order by created_at, lead_id
        ) as oldest_lead_id
    from leads
    where email is not null

    union all

    select
        lead_id,
        first_value(lead_id) over (
            partition by location_id, phone, full_name order by created_at, lead_id
        ) as oldest_lead_id
    from leads
    where phone is not null and full_name is not null

),

parents as (

    -- Older than the lead itself in every case, so a walk along them ends.
    select
        matches.lead_id,
        matches.oldest_lead_id,
        row_number() over (
            partition by matches.lead_id order by leads.created_at, leads.lead_id
        ) as place
    from matches
    inner join leads on matches.oldest_lead_id = leads.lead_id
    where matches.lead_id != matches.oldest_lead_id

),

walk as (

    select
        lead_id,
        oldest_lead_id,
        1 as hops
    from parents
    where place = 1

    union all

    select
        walk.lead_id,
        parents.oldest_lead_id,
        walk.hops + 1 as hops
    from walk
    inner join parents on walk.oldest_lead_id = parents.lead_id and parents.place = 1

),

ranked as (

    select
        lead_id,
        oldest_lead_id,
        row_number() over (partition by lead_id order by hops desc) as place
    from walk

),

final as (

    select
        lead_id,
        oldest_lead_id as duplicate_of_lead_id
    from ranked
    where place = 1

)

select * from final
