{{
    config(
        materialized='incremental',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id'], 'unique': true}]
    )
}}

{# Filled by lead_training_set. #}
{{ nothing_remembered(ref('int_training_inputs')) }}
