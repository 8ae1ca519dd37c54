{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'contact_id'], 'unique': true},
            {'columns': ['lead_id']},
        ],
        pre_hook="{{ find_changes([
            news_of(ref('int_lead_identities'), 'lead'),
            news_of(ref('int_identity_records'), 'number', through='
                select identities.lead_id
                from news
                inner join ' ~ ref('int_lead_identities') ~ ' as identities
                    on cast(news.key[1] as numeric) = identities.record_number
            '),
        ], all_leads()) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with identities as (

    select * from {{ ref('int_lead_identities') }}
    where {{ only_changed() }}

),

records as (

    select * from {{ ref('int_identity_records') }}

),

members as (

    select
        identities.lead_id,
        identities.location_id,
        identities.record_type,
        identities.record_id,
        identities.link_known_at,
        case when records.merged_into is null then records.gone_at end as deleted_at,
        -- The contact to write to is one that the CRM still has, and of several the oldest: it
        -- stays the same when more of them come in.
        row_number() over (
            partition by identities.lead_id
            order by
                case when identities.record_type = 'contact' then 0 else 1 end,
                case when records.created_at is null then 1 else 0 end,
                case
                    when records.gone_at is null then 0
                    when records.merged_into is null then 1
                    else 2
                end,
                records.record_number
        ) as place,
        row_number() over (
            partition by identities.location_id, identities.record_id
            order by identities.record_type
        ) as entry,
        min(records.created_at) over (partition by identities.lead_id) as first_created_at,
        max(case when records.merged_into is null then records.gone_at end)
            over (partition by identities.lead_id) as last_deleted_at
    from identities
    inner join records on identities.record_number = records.record_number

),

chosen as (

    select
        lead_id,
        record_id,
        deleted_at
    from members
    where place = 1 and record_type = 'contact'

),

final as (

    select
        members.location_id,
        members.record_id as contact_id,
        chosen.record_id as surviving_contact_id,
        members.lead_id,
        coalesce(members.record_id = chosen.record_id, false) as is_surviving,
        members.link_known_at as merge_known_at,
        case when chosen.deleted_at is not null then members.last_deleted_at end as deleted_at
    from members
    left join chosen on members.lead_id = chosen.lead_id
    -- Of some contacts nothing is left to read but that they were merged.
    where members.entry = 1 and members.first_created_at is not null

)

select * from final
