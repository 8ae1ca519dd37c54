{{
    config(
        indexes=[
            {'columns': ['location_id', 'channel', 'address']},
            {'columns': ['lead_id']},
        ]
    )
}}

with identities as (

    select * from {{ ref('int_lead_identities') }}

),

records as (

    select * from {{ ref('int_identity_records') }}

),

channels as (

    select 'sms' as channel
    union all
    select 'email' as channel

),

addresses as (

    select
        identities.lead_id,
        identities.location_id,
        channels.channel,
        case channels.channel when 'sms' then records.phone else records.email end as address,
        identities.record_type,
        identities.record_id,
        identities.record_lead_id,
        identities.link_known_at,
        records.record_number
    from identities
    inner join records
        on
            identities.location_id = records.location_id
            and identities.record_type = records.record_type
            and identities.record_id = records.record_id
    cross join channels

),

entries as (

    select
        *,
        row_number() over (
            partition by record_lead_id, channel, address order by record_type
        ) as entry
    from addresses
    where address is not null

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
