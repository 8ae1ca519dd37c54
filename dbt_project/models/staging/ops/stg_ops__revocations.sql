{# A table: a view would stand in the way of migrations of ops.consent_logs. #}
{{ config(materialized='table', indexes=[{'columns': ['lead_id', 'occurred_at']}]) }}

with source as (

    {{ select_source('ops', 'consent_logs') }}

),

final as (

    select
        consent_log_id,
        lead_id,
        location_id,
        contact_id,
        occurred_at
    from source
    where action = 'revoked'

)

select * from final
