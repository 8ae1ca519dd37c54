{# A table: a view would stand in the way of migrations of ops.sends. #}
{{ config(materialized='table', indexes=[{'columns': ['provider_message_id']}]) }}

with source as (

    select * from {{ source('ops', 'sends') }}

),

final as (

    select
        cast(send_id as text) as send_id,
        cast(batch_id as text) as batch_id,
        lead_id,
        location_id,
        contact_id,
        channel,
        status,
        provider,
        provider_message_id,
        coalesce(sent_at, created_at) as sent_at
    from source
    where provider_message_id is not null

)

select * from final
