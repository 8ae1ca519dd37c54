{{
    config(
        materialized='incremental',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id'], 'unique': true}]
    )
}}

{# Filled by int_lead_status. #}
{{ nothing_remembered(ref('int_lead_timeline_built')) }}
