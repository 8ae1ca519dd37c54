insert into ml.rules_models (version, made_at, reason, model)
values (%(version)s, %(now)s, %(reason)s, %(model)s)
on conflict (version) do update
set made_at = excluded.made_at, reason = excluded.reason
