{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['location_id', 'opportunity_id']},
            {'columns': ['lead_id']},
        ],
        meta={'changed_by': ['location_id', 'opportunity_id'], 'noted': {'lead': ['lead_id']}},
        pre_hook="{{ find_changes(
            [
                news_of(ref('snap_opportunities')),
                news_of(ref('int_contacts_surviving'), through='
                    select versions.location_id, versions.opportunity_id
                    from ' ~ versions_of(ref('snap_opportunities'), ref('stg_ghl__opportunities')) ~ ' as versions
                    inner join ' ~ ref('int_contacts_surviving') ~ ' as surviving
                        on
                            versions.location_id = surviving.location_id
                            and versions.contact_id = surviving.contact_id
                    where surviving.lead_id in (select key[1] from news)
                    union
                    select location_id, opportunity_id from ' ~ this ~ '
                    where lead_id in (select key[1] from news)
                '),
            ],
            'select location_id, opportunity_id from ' ~ versions_of(ref('snap_opportunities'), ref('stg_ghl__opportunities'))
        ) }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with versions as (

    {{ snapshot_versions(
        ref('snap_opportunities'), ref('stg_ghl__opportunities'), 'known_at',
        ['location_id', 'opportunity_id'], only_changed()
    ) }}

),

surviving as (

    select * from {{ ref('int_contacts_surviving') }}

),

compared as (

    select
        *,
        lag(pipeline_id) over (
            partition by location_id, opportunity_id order by version_number
        ) as previous_pipeline_id,
        lag(stage_id) over (
            partition by location_id, opportunity_id order by version_number
        ) as previous_stage_id
    from versions

),

numbered as (

    -- Versions in one stage, such as before and after a new value, are one stay.
    select
        *,
        sum(
            case
                when
                    coalesce(pipeline_id, '') = coalesce(previous_pipeline_id, '')
                    and coalesce(stage_id, '') = coalesce(previous_stage_id, '')
                    and version_number > 1
                    then 0
                else 1
            end
        ) over (
            partition by location_id, opportunity_id order by version_number
            rows between unbounded preceding and current row
        ) as stay_number
    from compared

),

bounded as (

    select
        *,
        row_number() over (
            partition by location_id, opportunity_id, stay_number order by version_number
        ) as place,
        row_number() over (
            partition by location_id, opportunity_id order by version_number desc
        ) as place_from_end
    from numbered

),

newest as (

    select * from bounded
    where place_from_end = 1

),

entries as (

    select
        *,
        lead(stage_changed_at) over (
            partition by location_id, opportunity_id order by stay_number
        ) as next_entered_at,
        lead(dbt_valid_from) over (
            partition by location_id, opportunity_id order by stay_number
        ) as next_known_at
    from bounded
    where place = 1

),

ends as (

    -- A deal leaves its last stage when it is won, lost or abandoned.
    select
        entries.*,
        newest.contact_id as newest_contact_id,
        newest.stay_number = entries.stay_number and newest.status = 'open' as is_current,
        case
            when newest.stay_number != entries.stay_number then entries.next_entered_at
            when newest.status != 'open' then newest.status_changed_at
        end as raw_left_at,
        case
            when newest.stay_number != entries.stay_number then entries.next_known_at
            when newest.status != 'open' then newest.dbt_valid_from
        end as left_known_at,
        case
            when newest.stay_number != entries.stay_number then 'moved'
            when newest.status != 'open' then newest.status
        end as left_by
    from entries
    inner join newest
        on
            entries.location_id = newest.location_id
            and entries.opportunity_id = newest.opportunity_id

),

final as (

    select
        ends.location_id,
        ends.opportunity_id,
        cast(ends.stay_number as integer) as stay_number,
        surviving.lead_id,
        ends.agent_id,
        ends.pipeline_id,
        ends.stage_id,
        ends.stay_number > 1 or ends.stage_changed_at > ends.created_at as is_move,
        ends.stay_number = 1 and ends.stage_changed_at > ends.created_at as is_past_unknown,
        ends.is_current,
        ends.stage_changed_at as entered_at,
        greatest(
            ends.dbt_valid_from, coalesce(surviving.merge_known_at, ends.dbt_valid_from)
        ) as entered_known_at,
        -- A correction can put the next stage's entry before this one's.
        case
            when ends.raw_left_at is not null then greatest(ends.raw_left_at, ends.stage_changed_at)
        end as left_at,
        ends.left_known_at,
        ends.left_by
    from ends
    inner join surviving
        on
            ends.location_id = surviving.location_id
            and ends.newest_contact_id = surviving.contact_id

)

select * from final
