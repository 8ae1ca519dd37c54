-- What a message from a lead withdraws: 'channel' for the keywords that carriers know, standing
-- alone, or a plain request about this channel; 'all' for a request not to be contacted; null.
-- Here and not in a program: the models and the webhooks have to hear the same words.
create function ops.opt_out_scope(body text) returns text
language sql immutable parallel safe
return case
    when body ~* '(stop|quit|do ?n[o'']?t|never) (contact|bother)(ing)?( me)?|(remove|delete) me|take me off|leave me alone|lose my (number|info)'
        then 'all'
    when body ~* '^\W*(please\W+)?(stop|stop ?all|unsubscribe|cancel|end|quit|revoke|opt[ -]?out)(\W+(please|thanks|thank you|now))?\W*$'
        then 'channel'
    -- "She won't stop calling" is about somebody else.
    when body ~* '\munsubscribe( me)?\M|\mopt(ing)? me out\M|\mi (want|wish|would like) to opt[ -]?out\M|(?<!(not|n''?t|never) )stop (text|messag|email|mail|call|send)ing|do ?n[o'']?t (text|message|email|e-mail|mail|call)( me)?( any ?more| again)?\W*$'
        then 'channel'
end;
comment on function ops.opt_out_scope(text) is
    'What a message from a lead withdraws: channel, all, or null.';

create index webhook_events_open on ops.webhook_events (received_at)
where handled_at is null and handling_error is null;
