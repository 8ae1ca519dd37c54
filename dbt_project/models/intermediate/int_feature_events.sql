{#
    The events that features count, each touch with what it followed, so that they need not be put
    in order at each of many moments.

    What a touch followed depends on what was known by then. A touch is late if one after it was
    known before it. Each moment at which a late one became known begins another version of the
    lead's touches: a version holds from after known_at until known_until. Between two such moments
    every touch that is visible follows the same ones, as those that are not late are known in order.
#}
{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id', 'occurred_at']}],
        pre_hook="{{ find_changes(
            [news_of(ref('int_lead_timeline'))], all_leads(), also=all_timezones()
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with timeline as (

    select * from {{ ref('int_lead_timeline') }}
    where {{ only_changed() }}

),

locations as (

    select * from {{ ref('stg_ghl__locations') }}

),

touches as (

    select
        timeline.lead_id,
        timeline.known_at,
        {{ event_alone('timeline', "coalesce(locations.timezone, 'UTC')") }}
    from timeline
    left join locations on timeline.location_id = locations.location_id
    where timeline.event_type = 'touch'

),

touches_with_next as (

    select
        *,
        min(known_at) over (
            partition by lead_id
            order by {{ touch_order() | join(' desc, ') }} desc
            rows between unbounded preceding and 1 preceding
        ) as next_known_at
    from touches

),

touches_marked as (

    select
        *,
        coalesce(known_at > next_known_at, false) as is_late
    from touches_with_next

),

late_moments as (

    select distinct
        lead_id,
        known_at as seen_from
    from touches_marked
    where is_late

),

late_versions as (

    select
        lead_id,
        seen_from,
        lead(seen_from) over (partition by lead_id order by seen_from) as seen_until
    from late_moments

),

first_versions as (

    select
        lead_id,
        min(seen_from) as seen_until
    from late_moments
    group by lead_id

),

versions as (

    select
        touches_marked.*,
        cast(null as timestamp with time zone) as seen_from,
        first_versions.seen_until
    from touches_marked
    left join first_versions on touches_marked.lead_id = first_versions.lead_id
    where not touches_marked.is_late

    union all

    select
        touches_marked.*,
        late_versions.seen_from,
        late_versions.seen_until
    from touches_marked
    inner join late_versions on touches_marked.lead_id = late_versions.lead_id
    where not touches_marked.is_late or touches_marked.known_at <= late_versions.seen_from

),

sequenced as (

    {{ touches_in_order('versions', ['lead_id', 'seen_from']) }}

),

seen_touches as (

    select
        lead_id,
        greatest(known_at, coalesce(seen_from, known_at)) as known_at,
        coalesce(seen_until, {{ end_of_time() }}) as known_until,
        {{ touch_columns() }}
    from sequenced

),

other_events as (

    select
        lead_id,
        known_at,
        {{ end_of_time() }} as known_until,
        event_type as kind,
        channel,
        occurred_at,
        {{ row_digest(['event_id']) }} as event_digest,
        cast(null as integer) as call_seconds,
        false as is_answered,
        cast(null as text) as agent_id,
        cast(null as bigint) as answered_after_seconds,
        cast(null as bigint) as silence_seconds,
        cast(null as integer) as outbounds_before,
        cast(null as boolean) as is_evening,
        cast(null as boolean) as is_weekend,
        cast(null as boolean) as is_office_hours
    from timeline
    where event_type in ({{ feature_event_types() }})

),

final as (

    select * from seen_touches
    union all
    select * from other_events

)

select * from final
