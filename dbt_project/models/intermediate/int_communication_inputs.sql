{#
    Everything that the touches of a lead can be made from. The CRM's words are not read, only
    whether they are the same (row_hash): what they withdraw is judged once.
#}
{{ config(materialized='table') }}

with messages as (

    select * from {{ ref('stg_ghl__messages') }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

lead_addresses as (

    select * from {{ ref('int_lead_addresses') }}

),

provider_touches as (

    select * from {{ ref('int_provider_touches') }}

),

contact_messages as (

    -- As the CRM has them: the columns that staging derives from these are costly.
    select
        location_id,
        contact_id,
        sum({{ row_digest([
            'message_id', 'message_type', 'direction', 'status', 'sent_by', 'agent_id',
            'call_status', 'call_seconds', 'created_at', 'updated_at', 'known_at', 'row_hash',
        ]) }}) as digest
    from messages
    group by location_id, contact_id

),

crm_inputs as (

    select
        surviving.lead_id,
        sum({{ row_digest([
            'surviving.location_id', 'surviving.contact_id', 'surviving.merge_known_at',
            'contact_messages.digest',
        ]) }}) as digest
    from surviving
    left join contact_messages
        on
            surviving.location_id = contact_messages.location_id
            and surviving.contact_id = contact_messages.contact_id
    group by surviving.lead_id

),

provider_inputs as (

    select
        provider_touches.lead_id,
        sum({{ row_digest(['provider_touches.*']) }}) as digest
    from provider_touches
    group by provider_touches.lead_id

),

neighbour_inputs as (

    -- Whether the CRM tells of a provider's touch too is read from all leads of its address.
    select
        provider_touches.lead_id,
        sum({{ row_digest([
            'provider_touches.source_system', 'provider_touches.source_row_id',
            'lead_addresses.lead_id', 'crm_inputs.digest',
        ]) }}) as digest
    from provider_touches
    inner join lead_addresses
        on
            provider_touches.location_id = lead_addresses.location_id
            and provider_touches.address = lead_addresses.address
    left join crm_inputs on lead_addresses.lead_id = crm_inputs.lead_id
    group by provider_touches.lead_id

),

final as (

    select
        coalesce(crm_inputs.lead_id, provider_inputs.lead_id) as lead_id,
        {{ row_digest(['crm_inputs.digest', 'provider_inputs.digest', 'neighbour_inputs.digest']) }}
            as inputs_digest
    from crm_inputs
    full outer join provider_inputs on crm_inputs.lead_id = provider_inputs.lead_id
    left join neighbour_inputs on provider_inputs.lead_id = neighbour_inputs.lead_id

)

select * from final
