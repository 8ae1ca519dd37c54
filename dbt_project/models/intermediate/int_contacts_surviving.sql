{{
    config(
        indexes=[
            {'columns': ['location_id', 'contact_id'], 'unique': true},
            {'columns': ['lead_id']},
        ],
        post_hook='analyze {{ this }}'
    )
}}

with recursive contacts as (

    select * from {{ ref('stg_ghl__contacts') }}

),

tombstones as (

    -- A contact loaded after it was found missing was restored.
    select tombstones.*
    from {{ ref('stg_ghl__contact_tombstones') }} as tombstones
    left join contacts
        on
            tombstones.location_id = contacts.location_id
            and tombstones.contact_id = contacts.contact_id
    where
        contacts.contact_id is null
        or tombstones.merged_into is not null
        or tombstones.detected_at >= contacts.loaded_at

),

known_contacts as (

    select
        location_id,
        contact_id
    from contacts

    union distinct

    select
        location_id,
        contact_id
    from tombstones

),

merge_chain as (

    select
        location_id,
        contact_id,
        contact_id as surviving_contact_id,
        cast(null as timestamp with time zone) as merge_known_at,
        0 as hops
    from known_contacts

    union all

    select
        merge_chain.location_id,
        merge_chain.contact_id,
        tombstones.merged_into as surviving_contact_id,
        greatest(
            coalesce(merge_chain.merge_known_at, tombstones.detected_at), tombstones.detected_at
        ) as merge_known_at,
        merge_chain.hops + 1 as hops
    from merge_chain
    inner join tombstones
        on
            merge_chain.location_id = tombstones.location_id
            and merge_chain.surviving_contact_id = tombstones.contact_id
    where
        tombstones.merged_into is not null
        -- Contacts said to be merged into each other must not go round for ever.
        and merge_chain.hops < 10

),

last_hops as (

    select
        *,
        row_number() over (partition by location_id, contact_id order by hops desc) as place
    from merge_chain

),

final as (

    select
        last_hops.location_id,
        last_hops.contact_id,
        last_hops.surviving_contact_id,
        last_hops.location_id || ':' || last_hops.surviving_contact_id as lead_id,
        last_hops.contact_id = last_hops.surviving_contact_id as is_surviving,
        last_hops.merge_known_at,
        case when tombstones.merged_into is null then tombstones.detected_at end as deleted_at
    from last_hops
    inner join contacts
        on
            last_hops.location_id = contacts.location_id
            and last_hops.surviving_contact_id = contacts.contact_id
    left join tombstones
        on
            last_hops.location_id = tombstones.location_id
            and last_hops.surviving_contact_id = tombstones.contact_id
    where last_hops.place = 1

)

select * from final
