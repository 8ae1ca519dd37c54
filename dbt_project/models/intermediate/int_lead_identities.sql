{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['record_number'], 'unique': true},
            {'columns': ['location_id', 'record_type', 'record_id'], 'unique': true},
            {'columns': ['record_lead_id']},
            {'columns': ['lead_id']},
        ],
        meta={'changed_by': ['record_number'], 'noted': {'lead': ['lead_id']}},
        pre_hook="{{ find_changed_records() }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with recursive records as (

    select
        *,
        location_id || ':' || record_id as record_lead_id
    from {{ ref('int_identity_records') }}
    where {{ only_changed() }}

),

ties as (

    select * from {{ ref('int_identity_ties') }}
    where {{ only_changed() }}

    union all

    select * from {{ ref('int_identity_phone_ties') }}
    where {{ only_changed() }}

),

{{ lowest_connected('ties') }},

both_ways as (

    select
        record_number,
        tied_to_number,
        tied_by,
        key_hash,
        known_at
    from ties

    union all

    select
        tied_to_number as record_number,
        record_number as tied_to_number,
        tied_by,
        key_hash,
        known_at
    from ties

),

spread as (

    -- From each lead's first record along its ties, with the latest of them on the way.
    select distinct
        lowest_number as record_number,
        cast('1900-01-01 00:00:00+00' as timestamp with time zone) as known_at
    from components

    union distinct

    select
        both_ways.tied_to_number as record_number,
        greatest(spread.known_at, both_ways.known_at) as known_at
    from spread
    inner join both_ways on spread.record_number = both_ways.record_number

),

linked as (

    -- The record hangs together with the first one as soon as one way is known.
    select
        record_number,
        min(known_at) as known_at
    from spread
    group by record_number

),

ranked_ties as (

    select
        both_ways.*,
        row_number() over (
            partition by both_ways.record_number
            order by
                case when both_ways.tied_to_number = components.lowest_number then 0 else 1 end,
                linked.known_at,
                case both_ways.tied_by
                    when 'crm_merge' then 1
                    when 'import_id' then 2
                    when 'email' then 3
                    else 4
                end,
                both_ways.known_at,
                both_ways.tied_to_number,
                both_ways.key_hash
        ) as place
    from both_ways
    inner join components on both_ways.record_number = components.record_number
    inner join linked on both_ways.tied_to_number = linked.record_number
    where
        both_ways.record_number != components.lowest_number
        and both_ways.record_number != both_ways.tied_to_number

),

final as (

    select
        records.record_number,
        records.location_id,
        records.record_type,
        records.record_id,
        records.record_lead_id,
        coalesce(firsts.record_lead_id, records.record_lead_id) as lead_id,
        ranked_ties.tied_by,
        neighbours.record_id as tied_to_record_id,
        ranked_ties.key_hash,
        case when ranked_ties.tied_by is not null then linked.known_at end as link_known_at
    from records
    left join components on records.record_number = components.record_number
    left join records as firsts on components.lowest_number = firsts.record_number
    left join linked on records.record_number = linked.record_number
    left join ranked_ties
        on
            records.record_number = ranked_ties.record_number
            and ranked_ties.place = 1
    left join records as neighbours on ranked_ties.tied_to_number = neighbours.record_number

)

select * from final
