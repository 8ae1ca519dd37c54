-- A duplicate points at the lead to keep, which is then no duplicate of another.
select
    duplicates.lead_id,
    duplicates.duplicate_of_lead_id
from {{ ref('dim_leads') }} as duplicates
inner join {{ ref('dim_leads') }} as originals
    on duplicates.duplicate_of_lead_id = originals.lead_id
where
    originals.duplicate_of_lead_id is not null
    or originals.location_id != duplicates.location_id
    or originals.created_at > duplicates.created_at
