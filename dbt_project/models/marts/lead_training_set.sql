{{
    config(
        materialized='incremental',
        incremental_strategy='changed_leads',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id', 'as_of'], 'unique': true}, {'columns': ['as_of']}],
        meta={'analyzed': ['lead_id', 'location_id', 'as_of', 'split_group', 'label']},
        pre_hook="{{ find_changed_leads(ref('int_training_inputs'), ref('int_training_built')) }}",
        post_hook="{{ remember_inputs(ref('int_training_built')) }}"
    )
}}

{%- set spine -%}
    (select * from {{ ref('int_training_spine') }} where {{ only_changed_leads() }})
{%- endset -%}

with features as (

    {{ lead_features(spine, kept=true, carried=['location_id', 'split_group', 'label']) }}

),

final as (

    select
        features.lead_id,
        features.location_id,
        features.as_of,
        features.split_group,
        features.label,
        {{ feature_list('features') }}
    from features

)

select * from final
