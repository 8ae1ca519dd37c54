{{ config(indexes=[{'columns': ['location_id', 'agent_id'], 'unique': true}]) }}

with users as (

    select * from {{ ref('stg_ghl__users') }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

final as (

    select
        users.agent_id,
        users.location_id,
        locations.location_name,
        users.agent_name as name,
        users.email,
        users.phone,
        users.role,
        users.is_active,
        coalesce(locations.timezone, 'UTC') as timezone
    from users
    left join locations on users.location_id = locations.location_id

)

select * from final
