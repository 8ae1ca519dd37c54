-- What leads are sliced and audited by; none of it is a feature.
select
    lead_id,
    source,
    assigned_agent_id as agent,
    first_name,
    postal_code
from marts.dim_leads
