{#
    Without CTEs, which the others have: PostgreSQL joins a view that has them only as a whole, and
    could not look up the messages of a few contacts.
#}
select
    location_id,
    id as message_id,
    contact_id,
    conversation_id,
    message_type,
    {{ touch_channel('message_type') }} as channel,
    direction,
    lower(status) as status,
    source as sent_by,
    user_id as agent_id,
    case
        when {{ touch_channel('message_type') }} = 'call'
            then {{ call_seconds('call_duration') }}
    end as duration_seconds,
    case
        when {{ touch_channel('message_type') }} = 'call'
            then {{ call_outcome('coalesce(call_status, status)', 'coalesce(call_duration, 0)') }}
        else lower(status)
    end as outcome,
    case when direction = 'inbound' then {{ opt_out_scope('body') }} end as opt_out_scope,
    call_status,
    call_duration as call_seconds,
    date_added as created_at,
    coalesce(date_updated, date_added) as updated_at,
    _known_at as known_at,
    _backfill as is_backfill,
    _row_hash as row_hash
from (
    {{ select_source('raw_ghl', 'messages') }}
) as messages
