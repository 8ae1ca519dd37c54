{% snapshot snap_contacts %}
{{
    config(
        unique_key=['location_id', 'contact_id'],
        strategy='check',
        check_cols=['tags', 'assigned_agent_id', 'is_dnd_all', 'is_dnd_sms', 'is_dnd_email', 'is_dnd_call'],
        updated_at='known_at',
        hard_deletes='ignore',
        meta={'changed_by': ['location_id', 'contact_id']},
        pre_hook="{{ find_changes(
            [news_of(ref('int_contact_states'))],
            'select location_id, contact_id from ' ~ ref('int_contact_states')
        ) }}",
        post_hook=["{{ note_written() }}", "{{ remember_changes() }}"]
    )
}}

select * from {{ ref('int_contact_states') }}
where {{ only_changed() }}

{% endsnapshot %}
