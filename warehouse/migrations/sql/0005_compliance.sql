-- What a message from a person withdraws: 'channel' for the keywords that carriers know, standing
-- alone, or a plain request about this channel; 'all' for a request not to be contacted; null.
-- Here and not in a program: the models and the webhooks have to hear the same words.
create or replace function ops.opt_out_scope(body text) returns text
language sql immutable parallel safe
return case
    -- Most texts hold none of these, and are done with.
    when body !~* 'stop|s\Wt\Wo\Wp|unsub|quit|revo|opt|remov|delet|take|(get|keep) me|leave|lose|loose|do ?n|not (want|wish|like)|never|withdraw|wrong|no (more|longer)|^\W*(please\W+)?(cancel|end|alto|pare|parar|arret)'
        then null
    when translate(body, '’‘', '''''') ~* '(stop|quit|do ?n[o'']?t|never) (contact|bother|harass|bug)(ing)?(\W+(me|us|this number|again|any ?more|ever)\M|\W*$)|(remove|delete) (me|my (name|number|phone|email|info|information|data|contact))|take (me|us|my (name|number)) off|(get|keep) me off|leave (me|us) alone|los?e my (number|info)|do(n[o'']?t| not) (want|wish|like) (to (be contacted|hear from (you|anyone))|(any )?(more )?contact)|\m(withdraw|revoke) (my |all )?consent\M'
        then 'all'
    when char_length(body) <= 80
        and body ~* '^\W*(please\W+|reply\W+|text\W+)?(stop(\W+stop)*|stop\W?all|s\W?t\W?o\W?p|unsub\w*|cancel|end|quit|revoke|opt(ing)?\W?out|alto|pare|parar|arret)(\W+(please|pls|plz|thanks|thank you|now|all|it|this|everything|immediately))*\W*$'
        then 'channel'
    -- "She won't stop calling" is about somebody else.
    when translate(body, '’‘', '''''') ~* '\munsub|\mopt(ing)? me out\M|\m(i|we)( am|''m|''d)?( want| wish| like| would like| need| choose)?( to)? opt(ing)?[ -]?out\M|\mopt(ing)?[ -]?out of\M|(?<!(not|n''?t|never|cannot|ever|to|and|or) )(stop|quit) (with )?(the |these |those |all |sending |your )*(me )?(the |these |those |any |more )*((text|txt|messag|msg|email|mail|call|send|spamm?)(g?ing)|texts|txts|messages|msgs|emails|spam)\M|do ?n[o'']?t (ever )?(text|txt|message|msg|email|e-mail|mail|call|send)( me| us| this number)?( any ?(more|thing)?| more)?( texts?| messages?| emails?)?( again| ever)?\W*$|\mno more (texts?|txts?|messages?|msgs?|emails?|calls)\M|\mnever (text|message|email|call) (me|us|this number)\M|do(n[o'']?t| not) (want|wish|like) (to (get|receive)|(any|these|your)( more)?) (\w+ )?(texts?|messages?|emails?|mails?)\M|no longer (want|wish) to (get|receive|hear|be)\M|^\W*(sorry\W+|hi\W+|no\W+)*(this is |you have |you''ve got |you got )?(a |the )?wrong (number|person)\W*$'
        then 'channel'
end;
comment on function ops.opt_out_scope(text) is
    'What a message from a person withdraws: channel, all, or null.';

-- What is asked of us in a word that carriers know: 'start' to hear from us again, 'help'; null.
create function ops.keyword(body text) returns text
language sql immutable parallel safe
return case
    when body ~* '^\W*(start|unstop|resubscribe|opt\W?in)(\W+(please|again))?\W*$' then 'start'
    when body ~* '^\W*(help|info)(\W+(please|me))?\W*$' then 'help'
end;
comment on function ops.keyword(text) is 'start, help, or null.';

-- Whether carriers and Twilio answer a text by themselves.
create function ops.is_carrier_keyword(body text) returns boolean
language sql immutable parallel safe
return body ~* '^\W*(stop|stopall|unsubscribe|cancel|end|quit|revoke|optout|start|yes|unstop|help|info)\W*$';
comment on function ops.is_carrier_keyword(text) is
    'Whether Twilio answers the text by itself unless told not to.';

-- Words against come first: an opt-out does not wait behind thousands of receipts.
create index webhook_events_urgent on ops.webhook_events (received_at)
where
    handled_at is null
    and handling_error is null
    and event_type in ('message.received', 'unsubscribe', 'group_unsubscribe', 'spamreport');

-- Do-not-call lists. location_id '*' stands for every location.
create table ops.do_not_call_lists (
    list_name text primary key,
    kind text not null check (kind in ('internal', 'national', 'state')),
    channel text not null check (channel in ('sms', 'email', 'call')),
    location_id text not null,
    source text not null,
    listed_on date not null,
    addresses integer not null,
    imported_at timestamptz not null,
    imported_by text not null
);
create table ops.do_not_call (
    list_name text not null references ops.do_not_call_lists (list_name) on delete cascade,
    channel text not null,
    address text not null,
    location_id text not null,
    kind text not null,
    listed_on date not null,
    primary key (channel, address, list_name)
);
create index do_not_call_list on ops.do_not_call (list_name);

-- What the carrier says a number is, and when it was asked.
create table ops.phone_lines (
    address text primary key,
    is_valid boolean not null,
    line_type text,
    looked_up_at timestamptz not null,
    source text not null
);

-- Texts that answer a text by themselves: one confirmation of an opt-out, and help.
create table ops.auto_replies (
    event_id text primary key,
    location_id text not null,
    address text not null,
    kind text not null check (kind in ('confirmation', 'help')),
    body text not null,
    at timestamptz not null,
    ended_at timestamptz
);
create unique index auto_replies_one_confirmation
on ops.auto_replies (location_id, address)
where kind = 'confirmation' and ended_at is null;
create index suppressions_address on ops.suppressions (channel, address);
