{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'channel', 'address']},
            {'columns': ['location_id', 'address']},
            {'columns': ['lead_id']},
        ],
        meta={
            'changed_by': ['location_id', 'address'],
            'noted': {'lead': ['lead_id']},
        },
        pre_hook="{{ find_changes(
            [
                news_of(ref('int_identity_records'), 'email'),
                news_of(ref('int_identity_records'), 'phone'),
                news_of(ref('int_lead_identities'), 'lead', through='
                    select records.location_id, kept.address
                    from news
                    inner join ' ~ ref('int_lead_identities') ~ ' as identities
                        on news.key[1] = identities.lead_id
                    inner join ' ~ ref('int_identity_records') ~ ' as records
                        on identities.record_number = records.record_number
                    cross join lateral (values (records.email), (records.phone)) as kept (address)
                    where kept.address is not null
                '),
            ],
            '
                select location_id, email from ' ~ ref('int_identity_records') ~ '
                union select location_id, phone from ' ~ ref('int_identity_records')
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with identities as (

    select * from {{ ref('int_lead_identities') }}

),

records as (

    select * from {{ ref('int_identity_records') }}

),

-- Restricted before the join: of all addresses only the few that changed are looked up.
known_addresses as (

    select
        record_number,
        'sms' as channel,
        phone as address
    from records
    where phone is not null and {{ only_changed(['location_id', 'phone']) }}

    union all

    select
        record_number,
        'email' as channel,
        email as address
    from records
    where email is not null and {{ only_changed(['location_id', 'email']) }}

),

entries as (

    select
        identities.lead_id,
        identities.location_id,
        known_addresses.channel,
        known_addresses.address,
        identities.record_type,
        identities.record_id,
        identities.record_lead_id,
        identities.link_known_at,
        identities.record_number,
        row_number() over (
            partition by identities.record_lead_id, known_addresses.channel, known_addresses.address
            order by identities.record_type
        ) as entry
    from identities
    inner join known_addresses on identities.record_number = known_addresses.record_number

),

final as (

    select
        lead_id,
        location_id,
        channel,
        address,
        record_type,
        record_id,
        record_lead_id,
        link_known_at,
        -- An address that several leads share counts as that of the record that came first.
        row_number() over (
            partition by location_id, channel, address order by record_number
        ) = 1 as is_owner
    from entries
    -- An imported row of a contact's id is that contact again.
    where entry = 1

)

select * from final
