{{ config(indexes=[{'columns': ['target']}]) }}

with spine as (

    select * from {{ ref('int_target_spine') }}

),

points as (

    select distinct
        lead_id,
        as_of
    from spine

),

features as (

    {{ lead_features('points', kept=true) }}

),

final as (

    select
        spine.lead_id,
        spine.location_id,
        spine.as_of,
        spine.target,
        spine.split_group,
        spine.label,
        spine.treated,
        spine.event_days,
        spine.observed_days,
        {{ feature_list('features') }}
    from spine
    inner join features on spine.lead_id = features.lead_id and spine.as_of = features.as_of

)

select * from final
