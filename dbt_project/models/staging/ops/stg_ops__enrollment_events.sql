{# A table: a view would stand in the way of migrations of ops.enrollment_events. #}
{{ config(materialized='table') }}

with notes as (

    select * from {{ source('ops', 'enrollment_events') }}

),

enrollments as (

    select * from {{ source('ops', 'enrollments') }}

),

final as (

    select
        cast(notes.enrollment_event_id as text) as enrollment_event_id,
        enrollments.lead_id,
        notes.location_id,
        enrollments.sequence as sequence_name,
        notes.kind,
        notes.step,
        coalesce(
            notes.detail ->> 'go_to', notes.detail ->> 'reason', notes.detail ->> 'value'
        ) as detail,
        notes.at as occurred_at,
        -- What happened is noted when the lead is next looked at.
        greatest(notes.created_at, notes.at) as known_at
    from notes
    inner join enrollments on notes.enrollment_id = enrollments.enrollment_id

)

select * from final
