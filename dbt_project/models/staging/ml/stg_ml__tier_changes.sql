{# A table: a view would stand in the way of migrations of ml.lead_scores. #}
{{ config(materialized='table') }}

with source as (

    select
        lead_id,
        location_id,
        as_of,
        scored_at,
        score,
        tier,
        model_version,
        lag(tier) over (partition by lead_id order by as_of) as previous_tier
    from {{ source('ml', 'lead_scores') }}

),

final as (

    select
        lead_id,
        location_id,
        as_of,
        scored_at,
        score,
        tier,
        previous_tier,
        model_version
    from source
    where previous_tier is null or tier != previous_tier

)

select * from final
