{# A table: a view would stand in the way of migrations of ops.batches. #}
{{ config(materialized='table', indexes=[{'columns': ['batch_id'], 'unique': true}]) }}

with source as (

    {{ select_source('ops', 'batches') }}

),

final as (

    -- A dry run can never be sent, so it is no part of a campaign.
    select
        cast(batch_id as text) as batch_id,
        audience || ':' || sequence as campaign_id,
        audience,
        sequence,
        holdout_share,
        status,
        planned_at,
        approved_at,
        coalesce(approved_at, planned_at) as started_at
    from source
    where not dry_run

)

select * from final
