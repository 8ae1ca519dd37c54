{% snapshot snap_appointments %}
{{
    config(
        unique_key=['location_id', 'appointment_id'],
        strategy='check',
        check_cols=['contact_id', 'status', 'provider_status', 'starts_at', 'ends_at', 'agent_id', 'calendar_id'],
        updated_at='known_at',
        hard_deletes='ignore',
        meta={'changed_by': ['location_id', 'appointment_id']},
        pre_hook="{{ find_changes(
            [news_of(source('raw_ghl', 'appointments'), 'id')],
            'select location_id, appointment_id from ' ~ ref('stg_ghl__appointments')
        ) }}",
        post_hook=["{{ note_written() }}", "{{ remember_changes() }}"]
    )
}}

select * from {{ ref('stg_ghl__appointments') }}
where {{ only_changed() }}

{% endsnapshot %}
