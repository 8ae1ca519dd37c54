{# A table: a view would stand in the way of migrations of ops.sends. #}
{{ config(materialized='table', indexes=[{'columns': ['batch_id', 'lead_id']}]) }}

with source as (

    {{ select_source('ops', 'sends') }}

),

final as (

    -- Failed with a time of sending: the provider took it, and could not deliver it.
    select
        cast(send_id as text) as send_id,
        cast(batch_id as text) as batch_id,
        lead_id,
        status in ('sent', 'delivered') or (status = 'failed' and sent_at is not null) as is_sent,
        status = 'delivered' as is_delivered,
        sent_at
    from source

)

select * from final
