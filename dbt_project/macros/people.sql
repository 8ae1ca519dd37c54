{#
    Leads that share a phone or an email, each with the least id of those tied to it: a person may
    be a lead of several locations. Each pass hands the least id on to who shares a phone, then to
    who shares an email: three of them tie chains of seven leads.

    leads: a relation, or the name of a CTE around it, with lead_id, phone and email.

    Gives lead_id and split_group; a lead that shares nothing has no row.
#}
{% macro people_with_several_leads(leads) %}
with shared_addresses as (

    select phone as address
    from {{ leads }}
    where phone is not null
    group by phone
    having count(*) > 1

    union all

    select email as address
    from {{ leads }}
    where email is not null
    group by email
    having count(*) > 1

),

leads_sharing as (

    select
        lead_id,
        lead_id as grouped_0,
        coalesce(phone, lead_id) as phone,
        coalesce(email, lead_id) as email
    from {{ leads }}
    where
        phone in (select address from shared_addresses)
        or email in (select address from shared_addresses)

),

{%- for round in range(3) %}
grouped_by_phone_{{ round }} as (

    select
        lead_id,
        phone,
        email,
        min(grouped_{{ round }}) over (partition by phone) as grouped_by_phone
    from leads_sharing{{ '_' ~ round if round }}

),

leads_sharing_{{ round + 1 }} as (

    select
        lead_id,
        phone,
        email,
        min(grouped_by_phone) over (partition by email) as grouped_{{ round + 1 }}
    from grouped_by_phone_{{ round }}

),
{% endfor %}
final as (

    select
        lead_id,
        grouped_3 as split_group
    from leads_sharing_3

)

select * from final
{% endmacro %}
