{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[{'columns': ['lead_id'], 'unique': true}],
        pre_hook="{{ find_changes(
            [news_of(ref('int_leads')), news_of(ref('int_lead_timeline'))], all_leads()
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with leads as (

    select * from {{ ref('int_leads') }}
    where {{ only_changed() }}

),

timeline as (

    select * from {{ ref('int_lead_timeline') }}
    where {{ only_changed() }}

),

activity as (

    select
        lead_id,
        max(case when event_type = 'touch' and direction = 'inbound' then occurred_at end)
            as last_inbound_at,
        max(case when event_type = 'touch' and direction = 'outbound' then occurred_at end)
            as last_outbound_at,
        count(case when event_type = 'opportunity_created' then 1 end) as opportunities_created,
        count(
            case
                when
                    event_type in ('opportunity_won', 'opportunity_lost')
                    and source_system != 'import'
                    then 1
            end
        ) as opportunities_decided,
        max(case when event_type = 'opportunity_won' then occurred_at end) as won_at,
        max(case when event_type = 'opportunity_lost' then occurred_at end) as lost_at
    from timeline
    group by lead_id

),

judged as (

    select
        leads.lead_id,
        leads.deleted_at,
        activity.won_at,
        activity.lost_at,
        activity.last_inbound_at,
        activity.last_outbound_at,
        case
            when leads.deleted_at is not null then 'deleted'
            -- Somebody who bought and is back with a new deal is open again.
            when activity.opportunities_created > activity.opportunities_decided then 'open'
            when activity.won_at is not null then 'won'
            when activity.lost_at is not null then 'lost'
            else 'open'
        end as status
    from leads
    left join activity on leads.lead_id = activity.lead_id

),

final as (

    select
        lead_id,
        status,
        status = 'open' as is_open,
        case status
            when 'deleted' then deleted_at
            when 'won' then won_at
            when 'lost' then lost_at
        end as closed_at,
        last_inbound_at,
        last_outbound_at
    from judged

)

select * from final
