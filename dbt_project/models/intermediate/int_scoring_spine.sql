with leads as (

    select * from {{ ref('int_leads') }}

),

lead_status as (

    select * from {{ ref('int_lead_status') }}

),

final as (

    select
        leads.lead_id,
        leads.location_id,
        {{ scoring_moment() }} as as_of
    from leads
    inner join lead_status on leads.lead_id = lead_status.lead_id
    where lead_status.is_open and leads.created_at < {{ scoring_moment() }}

)

select * from final
