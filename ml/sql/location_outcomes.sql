-- Every location with a lead that is open now or was a training example: leads whose label windows
-- are over, and how many of them converted (a lead with several points has its share of them).
with shares as (
    select location_id, split_group, avg(label) as share
    from marts.lead_training_set
    group by location_id, split_group
),
settled as (
    select location_id, count(*) as leads, sum(share)::float8 as outcomes
    from shares
    group by location_id
),
locations as (
    select location_id from marts.lead_features
    union
    select location_id from settled
)
select locations.location_id, coalesce(settled.leads, 0), coalesce(settled.outcomes, 0)
from locations
left join settled on locations.location_id = settled.location_id
where locations.location_id is not null
order by locations.location_id
