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

with records as (

    select * from {{ ref('int_identity_records') }}
    where {{ only_changed() }}

),

emails as (

    select
        *,
        count(*) over (partition by location_id, email) as records_count,
        min(record_number) over (partition by location_id, email) as first_number
    from records
    where email is not null

),

ties as (

    select
        losers.record_number,
        winners.record_number as tied_to_number,
        'crm_merge' as tied_by,
        losers.location_id,
        losers.merged_into as key_value,
        losers.gone_at as known_at
    from records as losers
    inner join records as winners
        on
            losers.location_id = winners.location_id
            and losers.merged_into = winners.record_id
            and winners.record_type = 'contact'

    union all

    -- An import that names a contact of the CRM tells of that contact.
    select
        files.record_number,
        contacts.record_number as tied_to_number,
        'import_id' as tied_by,
        files.location_id,
        files.record_id as key_value,
        greatest(files.known_at, coalesce(contacts.created_at, contacts.known_at)) as known_at
    from records as files
    inner join records as contacts
        on
            files.location_id = contacts.location_id
            and files.record_id = contacts.record_id
            and contacts.record_type = 'contact'
    where files.record_type = 'import'

    union all

    select
        emails.record_number,
        emails.first_number as tied_to_number,
        'email' as tied_by,
        emails.location_id,
        emails.email as key_value,
        greatest(emails.known_at, firsts.known_at) as known_at
    from emails
    inner join records as firsts on emails.first_number = firsts.record_number
    where
        emails.record_number != emails.first_number
        -- A placeholder that many records share says nothing about who they are.
        and emails.records_count <= {{ var('identity_max_shared') }}

),

final as (

    select
        record_number,
        tied_to_number,
        tied_by,
        {{ dbt.hash("location_id || ':' || tied_by || ':' || key_value") }} as key_hash,
        known_at
    from ties

)

select * from final
