{{
    config(
        materialized='incremental',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id'], 'unique': true}]
    )
}}

{# Filled by int_opt_outs. #}
{{ nothing_remembered(ref('int_communication_inputs')) }}
