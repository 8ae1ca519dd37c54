-- The indexes that dbt gives the tables of activation_marts.sql.
create unique index on marts.dim_leads (lead_id);
create index on marts.dim_leads (location_id, contact_id);
create index on marts.dim_leads (location_id, phone);
create index on marts.dim_leads (email);
create unique index on intermediate.int_lead_identities (location_id, record_type, record_id);
create index on intermediate.int_lead_identities (record_lead_id);
create index on intermediate.int_lead_identities (lead_id);
create index on intermediate.int_lead_addresses (location_id, channel, address);
create index on intermediate.int_lead_addresses (lead_id);
create unique index on marts.lead_priorities (lead_id);
create index on marts.lead_priorities (location_id, rank);
create index on marts.fct_communications (lead_id, occurred_at);
create index on marts.fct_appointments (lead_id, starts_at);
analyze;
