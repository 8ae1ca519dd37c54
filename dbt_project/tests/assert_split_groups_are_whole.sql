{{ config(meta={'dagster': {'ref': {'name': 'lead_training_set'}}}) }}

-- Leads that share a phone or an email are one person to a split, whatever location they are in.
with addresses as (

    select
        lead_id,
        phone as address
    from {{ ref('int_leads') }}
    where phone is not null

    union all

    select
        lead_id,
        email as address
    from {{ ref('int_leads') }}
    where email is not null

),

training_set as (

    select * from {{ ref('lead_training_set') }}

)

select addresses.address
from addresses
inner join training_set on addresses.lead_id = training_set.lead_id
group by addresses.address
having min(training_set.split_group) != max(training_set.split_group)
