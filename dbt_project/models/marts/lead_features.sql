{{ config(materialized='view') }}

with features as (

    select * from {{ ref('int_lead_features') }}

),

final as (

    select
        features.lead_id,
        features.location_id,
        {{ scoring_moment() }} as as_of,
        features.as_of as features_as_of,
        features.agent_id,
        {{ feature_list('features') }}
    from features

)

select * from final
