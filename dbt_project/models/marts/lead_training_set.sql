{{
    config(
        materialized='incremental',
        incremental_strategy='changed_leads',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id', 'as_of'], 'unique': true}, {'columns': ['as_of']}],
        pre_hook="{{ find_changed_leads(ref('int_training_inputs'), ref('int_training_built')) }}",
        post_hook="{{ remember_inputs(ref('int_training_built')) }}"
    )
}}

with spine as (

    select * from {{ ref('int_training_spine') }}
    where {{ only_changed_leads() }}

),

features as (

    {{ lead_features('spine') }}

),

final as (

    select
        spine.lead_id,
        spine.location_id,
        spine.as_of,
        spine.split_group,
        spine.label,
        {{ feature_list('features') }}
    from spine
    inner join features on spine.lead_id = features.lead_id and spine.as_of = features.as_of

)

select * from final
