{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['lead_id', 'as_of'], 'unique': true},
            {'columns': ['as_of']},
            {'columns': ['location_id', 'agent_id', 'as_of']},
        ],
        meta={'analyzed': ['lead_id', 'location_id', 'as_of', 'split_group', 'label', 'agent_id']},
        pre_hook=[
            "{{ more_memory(8) }}",
            "{{ find_changes(
                [
                    news_of(ref('int_training_spine')),
                    news_of(ref('int_feature_events')),
                    news_of(ref('int_leads')),
                    news_of_agent_days(this),
                ],
                all_leads(),
                also=all_timezones()
            ) }}",
        ],
        post_hook="{{ remember_changes() }}"
    )
}}

{%- set spine -%}
    (select * from {{ ref('int_training_spine') }} where {{ only_changed() }})
{%- endset -%}

with features as (

    {{ lead_features(spine, kept=true, carried=['location_id', 'split_group', 'label'], with_agent=true) }}

),

final as (

    select
        features.lead_id,
        features.location_id,
        features.as_of,
        features.split_group,
        features.label,
        features.agent_id,
        {{ feature_list('features') }}
    from features

)

select * from final
