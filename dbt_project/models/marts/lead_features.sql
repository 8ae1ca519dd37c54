{{ config(indexes=[{'columns': ['lead_id'], 'unique': true}]) }}

with spine as (

    select * from {{ ref('int_scoring_spine') }}

),

features as (

    {{ lead_features('spine') }}

),

final as (

    select
        spine.lead_id,
        spine.location_id,
        spine.as_of,
        {{ feature_list('features') }}
    from spine
    inner join features on spine.lead_id = features.lead_id and spine.as_of = features.as_of

)

select * from final
