{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
        ],
        meta={'computed_whole': true},
        pre_hook="{{ find_changes() }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with leads as (

    select * from {{ ref('int_leads') }}

),

final as (

    {{ people_with_several_leads('leads') }}

)

select * from final
