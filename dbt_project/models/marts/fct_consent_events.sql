{{
    config(
        indexes=[
            {'columns': ['evidence_key'], 'unique': true},
            {'columns': ['lead_id', 'channel', 'occurred_at']},
        ]
    )
}}

with consent_events as (

    select * from {{ ref('int_consent_events') }}

),

final as (

    select
        evidence_key,
        lead_id,
        location_id,
        contact_id,
        channel,
        purpose,
        action,
        occurred_at,
        known_at,
        source,
        method,
        consent_text
    from consent_events

)

select * from final
