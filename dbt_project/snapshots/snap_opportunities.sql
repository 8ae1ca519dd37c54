{% snapshot snap_opportunities %}
{{
    config(
        unique_key=['location_id', 'opportunity_id'],
        strategy='check',
        check_cols=['contact_id', 'pipeline_id', 'stage_id', 'status', 'value_cents', 'agent_id'],
        updated_at='known_at',
        hard_deletes='ignore',
        meta={'changed_by': ['location_id', 'opportunity_id']},
        pre_hook="{{ find_changes(
            [news_of(source('raw_ghl', 'opportunities'), 'id')],
            'select location_id, opportunity_id from ' ~ ref('stg_ghl__opportunities')
        ) }}",
        post_hook=["{{ note_written() }}", "{{ remember_changes() }}"]
    )
}}

select * from {{ ref('stg_ghl__opportunities') }}
where {{ only_changed() }}

{% endsnapshot %}
