{{ config(indexes=[{'columns': ['campaign_id'], 'unique': true}]) }}

with batches as (

    select * from {{ ref('stg_ops__batches') }}

),

final as (

    select
        campaign_id,
        audience,
        sequence,
        cast(count(*) as integer) as batches_planned,
        cast(count(approved_at) as integer) as batches_approved,
        min(planned_at) as first_planned_at,
        min(approved_at) as first_batch_at,
        max(approved_at) as last_batch_at
    from batches
    group by campaign_id, audience, sequence

)

select * from final
