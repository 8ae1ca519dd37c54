{# A table: a view would stand in the way of migrations of ops.batch_items. #}
{{ config(materialized='table') }}

with items as (

    select * from {{ source('ops', 'batch_items') }}

),

batches as (

    select * from {{ source('ops', 'batches') }}

),

final as (

    select
        cast(items.batch_id as text) as batch_id,
        items.lead_id,
        items.location_id,
        items.contact_id,
        items.decision,
        items.reason_code,
        items.channel,
        batches.sequence as sequence_name,
        batches.dry_run as is_dry_run,
        batches.planned_at,
        batches.approved_at
    from items
    inner join batches on items.batch_id = batches.batch_id

)

select * from final
