{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id']}],
        pre_hook="{{ find_changes([
            news_of(ref('int_contacts_surviving')),
            news_of_contacts(source('raw_ghl', 'messages')),
        ], all_leads()) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with messages as (

    select * from {{ ref('stg_ghl__messages') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}
    where {{ only_changed() }}

),

final as (

    -- Hearing a message takes longer than all else that is done to it, so each is heard once.
    select
        surviving.lead_id,
        messages.location_id,
        messages.message_id,
        messages.contact_id,
        messages.channel,
        messages.opt_out_scope,
        messages.created_at,
        messages.known_at
    from messages
    inner join surviving
        on
            messages.location_id = surviving.location_id
            and messages.contact_id = surviving.contact_id
    where messages.direction = 'inbound' and messages.opt_out_scope is not null

)

select * from final
