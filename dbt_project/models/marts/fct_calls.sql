{{
    config(
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['lead_id', 'occurred_at']},
            {'columns': ['location_id', 'occurred_at']},
        ]
    )
}}

with communications as (

    select * from {{ ref('int_communications') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

twilio_calls as (

    select * from {{ ref('stg_twilio__calls') }}

),

recordings as (

    select * from {{ ref('stg_twilio__recordings') }}

),

transcriptions as (

    select * from {{ ref('stg_ghl__transcriptions') }}

),

calls as (

    select
        source_system || ':touch:' || location_id || ':' || source_row_id as event_id,
        *
    from communications
    where channel = 'call'

),

recorded_calls as (

    select
        recordings.call_id,
        max(recordings.duration_seconds) as recording_seconds
    from recordings
    group by recordings.call_id

),

/*
    A call that both systems tell of is here as the CRM's, and its recording is Twilio's: same
    number and direction, within the minute in which int_communications takes the two for one.
*/
recorded_crm_calls as (

    select
        calls.event_id,
        max(recorded_calls.recording_seconds) as recording_seconds
    from recorded_calls
    inner join twilio_calls on recorded_calls.call_id = twilio_calls.call_id
    inner join leads
        on twilio_calls.location_id = leads.location_id and twilio_calls.lead_phone = leads.phone
    inner join calls
        on
            leads.lead_id = calls.lead_id
            and calls.source_system = 'ghl'
            and twilio_calls.direction = calls.direction
            and {{ dbt.dateadd('second', -60, 'twilio_calls.created_at') }} <= calls.occurred_at
            and {{ dbt.dateadd('second', 60, 'twilio_calls.created_at') }} >= calls.occurred_at
    group by calls.event_id

),

final as (

    select
        calls.event_id,
        calls.lead_id,
        calls.location_id,
        calls.direction,
        calls.actor,
        calls.agent_id,
        calls.occurred_at,
        calls.known_at,
        calls.outcome,
        calls.outcome = 'answered' as is_answered,
        calls.outcome = 'voicemail' as is_voicemail,
        coalesce(calls.duration_seconds, 0) as duration_seconds,
        coalesce(recorded_calls.call_id, recorded_crm_calls.event_id) is not null as has_recording,
        coalesce(recorded_calls.recording_seconds, recorded_crm_calls.recording_seconds)
            as recording_seconds,
        transcriptions.message_id is not null as has_transcription,
        transcriptions.sentence_count as transcription_sentences,
        calls.source_system,
        calls.source_row_id
    from calls
    left join recorded_calls
        on calls.source_system = 'twilio' and calls.source_row_id = recorded_calls.call_id
    left join recorded_crm_calls on calls.event_id = recorded_crm_calls.event_id
    left join transcriptions
        on
            calls.source_system = 'ghl'
            and calls.location_id = transcriptions.location_id
            and calls.source_row_id = transcriptions.message_id

)

select * from final
