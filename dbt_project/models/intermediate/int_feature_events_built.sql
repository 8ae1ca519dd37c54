{{
    config(
        materialized='incremental',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id'], 'unique': true}]
    )
}}

{# Filled by int_feature_events. #}
{{ nothing_remembered(ref('int_lead_timeline_built')) }}
