{{
    config(
        indexes=[
            {'columns': ['location_id', 'appointment_id'], 'unique': true},
            {'columns': ['lead_id', 'starts_at']},
        ]
    )
}}

with appointments as (

    select * from {{ ref('stg_ghl__appointments') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

calendars as (

    select * from {{ ref('stg_ghl__calendars') }}

),

final as (

    select
        appointments.appointment_id,
        surviving.lead_id,
        appointments.location_id,
        appointments.agent_id,
        calendars.calendar_name,
        appointments.status,
        appointments.booked_at,
        appointments.starts_at,
        appointments.ends_at,
        appointments.updated_at,
        appointments.known_at
    from appointments
    inner join surviving
        on
            appointments.location_id = surviving.location_id
            and appointments.contact_id = surviving.contact_id
    left join calendars
        on
            appointments.location_id = calendars.location_id
            and appointments.calendar_id = calendars.calendar_id

)

select * from final
