{{
    config(
        indexes=[{'columns': ['lead_id'], 'unique': true}],
        meta={'analyzed': ['lead_id', 'location_id', 'as_of']}
    )
}}

with features as (

    {{ lead_features(ref('int_scoring_spine'), kept=true, carried=['location_id']) }}

),

final as (

    select
        features.lead_id,
        features.location_id,
        features.as_of,
        {{ feature_list('features') }}
    from features

)

select * from final
