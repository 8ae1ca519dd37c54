{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'contact_id']},
            {'columns': ['lead_id']},
        ],
        meta={'changed_by': ['location_id', 'contact_id'], 'noted': {'lead': ['lead_id']}},
        pre_hook="{{ find_changes(
            [
                news_of(ref('snap_contacts')),
                news_of(ref('int_contacts_surviving'), through='
                    select location_id, contact_id from ' ~ ref('int_contacts_surviving') ~ '
                    where lead_id in (select key[1] from news)
                    union
                    select location_id, contact_id from ' ~ this ~ '
                    where lead_id in (select key[1] from news)
                '),
            ],
            'select location_id, contact_id from ' ~ ref('int_contacts_surviving')
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with versions as (

    {{ snapshot_versions(
        ref('snap_contacts'), ref('int_contact_states'), 'known_at',
        ['location_id', 'contact_id'], only_changed()
    ) }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}
    where {{ only_changed() }}

),

dnd_scopes as (

    select 'all' as scope
    union all
    select 'sms' as scope
    union all
    select 'email' as scope
    union all
    select 'call' as scope

),

changes as (

    select
        newer.location_id,
        newer.contact_id,
        newer.version_number,
        older.tags as old_tags,
        newer.tags as new_tags,
        older.assigned_agent_id as old_agent_id,
        newer.assigned_agent_id as new_agent_id,
        older.is_dnd_all as old_dnd_all,
        newer.is_dnd_all as new_dnd_all,
        older.is_dnd_sms as old_dnd_sms,
        newer.is_dnd_sms as new_dnd_sms,
        older.is_dnd_email as old_dnd_email,
        newer.is_dnd_email as new_dnd_email,
        older.is_dnd_call as old_dnd_call,
        newer.is_dnd_call as new_dnd_call,
        newer.updated_at as occurred_at,
        newer.dbt_valid_from as known_at
    from versions as newer
    inner join versions as older
        on
            newer.location_id = older.location_id
            and newer.contact_id = older.contact_id
            and newer.version_number = older.version_number + 1

),

old_tags as (

    select
        changes.location_id,
        changes.contact_id,
        changes.version_number,
        lines.tag
    from changes
    cross join lateral {{ text_lines('changes.old_tags') }} as lines (tag)

),

new_tags as (

    select
        changes.location_id,
        changes.contact_id,
        changes.version_number,
        lines.tag
    from changes
    cross join lateral {{ text_lines('changes.new_tags') }} as lines (tag)

),

tags_changed as (

    select
        coalesce(new_tags.location_id, old_tags.location_id) as location_id,
        coalesce(new_tags.contact_id, old_tags.contact_id) as contact_id,
        coalesce(new_tags.version_number, old_tags.version_number) as version_number,
        case when new_tags.tag is null then 'tag_removed' else 'tag_added' end as event_type,
        coalesce(new_tags.tag, old_tags.tag) as change_key,
        cast(null as text) as channel,
        cast(null as text) as agent_id,
        coalesce(new_tags.tag, old_tags.tag) as outcome
    from new_tags
    full outer join old_tags
        on
            new_tags.location_id = old_tags.location_id
            and new_tags.contact_id = old_tags.contact_id
            and new_tags.version_number = old_tags.version_number
            and new_tags.tag = old_tags.tag
    where new_tags.tag is null or old_tags.tag is null

),

owner_changed as (

    select
        location_id,
        contact_id,
        version_number,
        'owner_changed' as event_type,
        '' as change_key,
        cast(null as text) as channel,
        new_agent_id as agent_id,
        cast(null as text) as outcome
    from changes
    where coalesce(old_agent_id, '') != coalesce(new_agent_id, '')

),

dnd_flags as (

    select
        changes.location_id,
        changes.contact_id,
        changes.version_number,
        dnd_scopes.scope,
        case dnd_scopes.scope
            when 'all' then changes.old_dnd_all
            when 'sms' then changes.old_dnd_sms
            when 'email' then changes.old_dnd_email
            when 'call' then changes.old_dnd_call
        end as was_on,
        case dnd_scopes.scope
            when 'all' then changes.new_dnd_all
            when 'sms' then changes.new_dnd_sms
            when 'email' then changes.new_dnd_email
            when 'call' then changes.new_dnd_call
        end as is_on
    from changes
    cross join dnd_scopes

),

dnd_changed as (

    select
        location_id,
        contact_id,
        version_number,
        'dnd_changed' as event_type,
        scope as change_key,
        case when scope != 'all' then scope end as channel,
        cast(null as text) as agent_id,
        case when is_on then 'on' else 'off' end as outcome
    from dnd_flags
    where was_on != is_on

),

events as (

    select * from tags_changed
    union all
    select * from owner_changed
    union all
    select * from dnd_changed

),

final as (

    select
        surviving.lead_id,
        events.location_id,
        events.contact_id,
        events.version_number,
        events.event_type,
        events.change_key,
        events.channel,
        events.agent_id,
        events.outcome,
        changes.occurred_at,
        greatest(changes.known_at, coalesce(surviving.merge_known_at, changes.known_at)) as known_at
    from events
    inner join changes
        on
            events.location_id = changes.location_id
            and events.contact_id = changes.contact_id
            and events.version_number = changes.version_number
    inner join surviving
        on
            events.location_id = surviving.location_id
            and events.contact_id = surviving.contact_id

)

select * from final
