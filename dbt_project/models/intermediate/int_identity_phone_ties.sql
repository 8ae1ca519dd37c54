{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['record_number']},
        ],
        meta={'changed_by': ['record_number']},
        pre_hook="{{ find_changed_records() }}",
        post_hook="{{ remember_changes() }}"
    )
}}

/*
    A number ties cores (records that merges, import ids and emails hold together) of one name.
    A core has the name that its first record came in with, so that a later one cannot take its
    ties away; the numbers of records of other names in it, bridges between two people, tie nobody.
    Where the name is shortened or missing, it stands for the one name at its numbers that it can
    stand for. More than one: a household, and the core stays by itself. Both ends of a tie have
    the same name in full, so no chain of ties leads from one name to another.
*/
with records as (

    select
        records.*,
        cores.core_number
    from {{ ref('int_identity_records') }} as records
    inner join {{ ref('int_identity_cores') }} as cores on records.record_number = cores.record_number
    where {{ only_changed(['records.record_number']) }}

),

counted as (

    select
        *,
        count(*) over (partition by location_id, phone) as records_count,
        min(core_number) over (partition by location_id, phone) as first_core,
        max(core_number) over (partition by location_id, phone) as last_core
    from records
    where phone is not null

),

phones as (

    select
        record_number,
        core_number,
        location_id,
        phone,
        known_at
    from counted
    where
        first_core != last_core
        and records_count <= {{ var('identity_max_shared') }}

),

core_phones as (

    select distinct
        core_number,
        location_id,
        phone
    from phones

),

core_records as (

    select distinct
        records.core_number,
        records.record_number,
        coalesce(records.given_name_key, '') as given_name,
        coalesce(records.family_name_key, '') as family_name
    from records
    inner join core_phones on records.core_number = core_phones.core_number

),

ranked_names as (

    select
        *,
        row_number() over (
            partition by core_number
            order by
                case when given_name = '' and family_name = '' then 1 else 0 end,
                record_number
        ) as place
    from core_records

),

first_names as (

    select
        core_number,
        given_name,
        family_name
    from ranked_names
    where place = 1

),

fuller_names as (

    -- The names that the core spells its own out with, as long as it is one.
    select distinct
        first_names.core_number,
        core_records.given_name,
        core_records.family_name
    from first_names
    inner join core_records
        on
            first_names.core_number = core_records.core_number
            and {{ is_fuller_name('core_records', 'first_names') }}

),

fullest_names as (

    select
        names.core_number,
        min(names.given_name) as given_name,
        min(names.family_name) as family_name
    from fuller_names as names
    left join fuller_names as fuller
        on
            names.core_number = fuller.core_number
            and {{ is_fuller_name('fuller', 'names') }}
    where fuller.core_number is null
    group by names.core_number
    having count(*) = 1

),

core_names as (

    select
        first_names.core_number,
        coalesce(fullest_names.given_name, first_names.given_name) as given_name,
        coalesce(fullest_names.family_name, first_names.family_name) as family_name
    from first_names
    left join fullest_names on first_names.core_number = fullest_names.core_number

),

named_phones as (

    -- The numbers of the records that have the core's name, or a shorter one.
    select
        phones.record_number,
        phones.core_number,
        phones.location_id,
        phones.phone,
        phones.known_at,
        core_names.given_name,
        core_names.family_name
    from phones
    inner join core_names on phones.core_number = core_names.core_number
    inner join core_records on phones.record_number = core_records.record_number
    where
        {{ is_fuller_name('core_names', 'core_records') }}
        or (
            core_names.given_name = core_records.given_name
            and core_names.family_name = core_records.family_name
        )

),

candidates as (

    -- For each core every name at its numbers, its own among them, that its own can stand for;
    -- other people's as well, for they are of the household.
    select distinct
        named_phones.core_number,
        core_records.given_name,
        core_records.family_name
    from named_phones
    inner join phones
        on
            named_phones.location_id = phones.location_id
            and named_phones.phone = phones.phone
    inner join core_records on phones.record_number = core_records.record_number
    where {{ is_fuller_name('core_records', 'named_phones') }}

    union distinct

    select
        named_phones.core_number,
        others.given_name,
        others.family_name
    from named_phones
    inner join named_phones as others
        on
            named_phones.location_id = others.location_id
            and named_phones.phone = others.phone
    where
        {{ is_fuller_name('others', 'named_phones') }}
        or named_phones.core_number = others.core_number

),

full_candidates as (

    select names.*
    from candidates as names
    left join candidates as fuller
        on
            names.core_number = fuller.core_number
            and {{ is_fuller_name('fuller', 'names') }}
    where fuller.core_number is null

),

persons as (

    select
        core_number,
        min(given_name) as given_name,
        min(family_name) as family_name
    from full_candidates
    group by core_number
    having count(*) = 1

),

person_phones as (

    select
        named_phones.record_number,
        named_phones.location_id,
        named_phones.phone,
        named_phones.known_at,
        min(named_phones.record_number) over (
            partition by
                named_phones.location_id,
                named_phones.phone,
                persons.given_name,
                persons.family_name
        ) as first_number
    from named_phones
    inner join persons on named_phones.core_number = persons.core_number

),

final as (

    select
        person_phones.record_number,
        person_phones.first_number as tied_to_number,
        'phone' as tied_by,
        {{ dbt.hash("person_phones.location_id || ':phone:' || person_phones.phone") }} as key_hash,
        greatest(person_phones.known_at, firsts.known_at) as known_at
    from person_phones
    inner join records as firsts on person_phones.first_number = firsts.record_number
    where person_phones.record_number != person_phones.first_number

)

select * from final
