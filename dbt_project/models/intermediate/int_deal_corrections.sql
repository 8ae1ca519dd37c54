{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'source_row_id']},
            {'columns': ['lead_id']},
        ],
        meta={'changed_by': ['location_id', 'source_row_id'], 'noted': {'lead': ['lead_id']}},
        pre_hook="{{ find_changes(
            [
                news_of(ref('snap_opportunities')),
                news_of(ref('snap_appointments')),
                news_of(ref('int_contacts_surviving'), through='
                    select versions.location_id, versions.row_id
                    from (
                        select location_id, opportunity_id as row_id, contact_id
                        from ' ~ versions_of(ref('snap_opportunities'), ref('stg_ghl__opportunities')) ~ '
                        union
                        select location_id, appointment_id as row_id, contact_id
                        from ' ~ versions_of(ref('snap_appointments'), ref('stg_ghl__appointments')) ~ '
                    ) as versions
                    inner join ' ~ ref('int_contacts_surviving') ~ ' as surviving
                        on
                            versions.location_id = surviving.location_id
                            and versions.contact_id = surviving.contact_id
                    where surviving.lead_id in (select key[1] from news)
                    union
                    select location_id, source_row_id from ' ~ this ~ '
                    where lead_id in (select key[1] from news)
                '),
            ],
            '
                select location_id, opportunity_id from ' ~ versions_of(ref('snap_opportunities'), ref('stg_ghl__opportunities')) ~ '
                union select location_id, appointment_id from ' ~ versions_of(ref('snap_appointments'), ref('stg_ghl__appointments'))
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with appointment_versions as (

    {{ snapshot_versions(
        ref('snap_appointments'), ref('stg_ghl__appointments'), 'known_at',
        ['location_id', 'appointment_id'], only_changed(['location_id', 'appointment_id'])
    ) }}

),

opportunity_versions as (

    {{ snapshot_versions(
        ref('snap_opportunities'), ref('stg_ghl__opportunities'), 'known_at',
        ['location_id', 'opportunity_id'], only_changed(['location_id', 'opportunity_id'])
    ) }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

appointment_steps as (

    select
        *,
        lag(starts_at) over (
            partition by location_id, appointment_id order by version_number
        ) as previous_starts_at,
        lag(status) over (
            partition by location_id, appointment_id order by version_number
        ) as previous_status
    from appointment_versions

),

opportunity_steps as (

    select
        *,
        lag(status) over (
            partition by location_id, opportunity_id order by version_number
        ) as previous_status
    from opportunity_versions

),

appointments_rescheduled as (

    select
        location_id,
        contact_id,
        appointment_id as source_row_id,
        version_number,
        'appointment_rescheduled' as event_type,
        agent_id,
        cast(null as bigint) as amount_cents,
        cast(null as text) as outcome,
        updated_at as occurred_at,
        dbt_valid_from as known_at
    from appointment_steps
    where starts_at != previous_starts_at

),

appointments_corrected as (

    select
        location_id,
        contact_id,
        appointment_id as source_row_id,
        version_number,
        'appointment_corrected' as event_type,
        agent_id,
        cast(null as bigint) as amount_cents,
        status as outcome,
        updated_at as occurred_at,
        dbt_valid_from as known_at
    from appointment_steps
    where previous_status != 'booked' and status != previous_status

),

opportunities_corrected as (

    select
        location_id,
        contact_id,
        opportunity_id as source_row_id,
        version_number,
        'opportunity_corrected' as event_type,
        agent_id,
        value_cents as amount_cents,
        status as outcome,
        status_changed_at as occurred_at,
        dbt_valid_from as known_at
    from opportunity_steps
    where previous_status != 'open' and status != previous_status

),

events as (

    select * from appointments_rescheduled
    union all
    select * from appointments_corrected
    union all
    select * from opportunities_corrected

),

final as (

    select
        surviving.lead_id,
        events.location_id,
        events.source_row_id,
        events.version_number,
        events.event_type,
        events.agent_id,
        events.amount_cents,
        events.outcome,
        events.occurred_at,
        greatest(events.known_at, coalesce(surviving.merge_known_at, events.known_at)) as known_at
    from events
    inner join surviving
        on
            events.location_id = surviving.location_id
            and events.contact_id = surviving.contact_id

)

select * from final
