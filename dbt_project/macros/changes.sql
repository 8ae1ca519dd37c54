{#
    What changed, and for whom: the log that incremental models go by.

    changes.log holds the keys of rows that were written, with the transaction that wrote them:
    loaded tables have triggers that note it (watch_sources), models note it themselves. A model
    keeps the snapshot that it has read the log under (changes.seen), and its next run takes what
    that snapshot did not see: exactly what was committed since, in whatever order and however late.
    No clock is asked.

    Everything is computed anew where the log cannot tell: a table was made anew, truncated or is
    watched for the first time, the model has other text or settings, or the database is a copy
    elsewhere, whose transactions have other numbers.
#}


{# The name that a relation has in the log; `part` tells several kinds of key apart. #}
{% macro logged_name(relation, part='') -%}
    {{ relation.schema }}.{{ relation.identifier }}{{ '/' ~ part if part }}
{%- endmacro %}


{#
    News of a relation, for find_changes().

    through: a query that makes keys of this model of `news`, which has the column key, an array of
    text; without it the keys are the same.
#}
{% macro news_of(relation, part='', through='') -%}
    {{ return({'name': logged_name(relation, part), 'through': through}) }}
{%- endmacro %}


{# News of the messages, deals and so on of contacts: the leads that the contacts are of. #}
{% macro news_of_contacts(relation) -%}
    {{ return(news_of(relation, through='
        select surviving.lead_id
        from news
        inner join ' ~ ref('int_contacts_surviving') ~ ' as surviving
            on news.key[1] = surviving.location_id and news.key[2] = surviving.contact_id
    ')) }}
{%- endmacro %}


{# The columns by which a model's rows are found and replaced. #}
{% macro key_columns() -%}
    {{ return((config.get('meta') or {}).get('changed_by', ['lead_id'])) }}
{%- endmacro %}


{# The temporary tables of the model at hand: what it reads under, the news, the keys that changed. #}
{% macro now_seen() -%}
    "{{ this.identifier }}__now_seen"
{%- endmacro %}

{% macro changed_keys() -%}
    "{{ this.identifier }}__changed"
{%- endmacro %}


{#
    Before a model: the keys to compute anew, in changed_keys(). All hooks and the query are one
    transaction; where rows change in between, the next run reads them again.

    news: what news_of() gives. Empty: the model is computed whole, and only what differs is written.
    universe: a query of all keys that the model can have, beside those that it has.
    also: an expression that every row is made from and no key has to itself, such as a setting.
    more: queries of further keys; they may read changed_keys(), which holds those of before, and
    previous_moment(), for what time alone changes.
#}
{% macro find_changes(news=[], universe='', also=none, more=[]) -%}
    {%- set whole = not goes_by_changes() -%}
    create temporary table {{ now_seen() }} on commit drop as
    select
        pg_current_snapshot() as snapshot,
        md5(
            {{ text_digest() }}
            || (select system_identifier from pg_control_system())
            {%- if also %} || coalesce(cast({{ also }} as text), ''){% endif %}
        ) as made_by,
        {{ scoring_moment() }} as as_of,
        {{ whole }} as is_whole
    {%- if not whole and news %};
    {%- set keys = key_columns() -%}
    {%- set names = news | map(attribute='name') | list %}

    create temporary table "{{ this.identifier }}__news" on commit drop as
    select distinct
        log.relation,
        log.key
    from changes.log as log
    inner join changes.seen as seen
        on
            seen.model = '{{ logged_name(this) }}'
            and not pg_visible_in_snapshot(log.changed_by, seen.snapshot)
    where log.relation in ('{{ names | join("', '") }}');

    analyze "{{ this.identifier }}__news";

    create temporary table {{ changed_keys() }} on commit drop as
    select {{ keys | join(', ') }} from {{ this }} where false;

    {% for one in news %}
    insert into {{ changed_keys() }} ({{ keys | join(', ') }})
    with news as (
        select key from "{{ this.identifier }}__news"
        where relation = '{{ one.name }}' and key is not null
    )
    {% if one.through -%}
    {{ one.through }}
    {%- else -%}
    select
        {%- for name in keys %}
        news.key[{{ loop.index }}]{{ ',' if not loop.last }}
        {%- endfor %}
    from news
    {%- endif %};
    {% endfor %}

    {% for query in more %}
    analyze {{ changed_keys() }};

    insert into {{ changed_keys() }} ({{ keys | join(', ') }})
    {{ query }};
    {% endfor %}

    insert into {{ changed_keys() }} ({{ keys | join(', ') }})
    with everything as materialized (
        select
            not exists (
                select from changes.seen as seen
                inner join {{ now_seen() }} as now_seen
                    on seen.made_by = now_seen.made_by and seen.as_of <= now_seen.as_of
                where seen.model = '{{ logged_name(this) }}'
            )
            or exists (select from "{{ this.identifier }}__news" where key is null) as has_changed
    )
    select * from ({{ universe }}) as universe where (select has_changed from everything)
    union
    select {{ keys | join(', ') }} from {{ this }} where (select has_changed from everything);

    analyze {{ changed_keys() }}
    {%- endif %}
{%- endmacro %}


{# All leads that there are. #}
{% macro all_leads() -%}
    select lead_id from {{ ref('int_lead_identities') }}
{%- endmacro %}


{# The moment of this model's last run, in a query of find_changes(more). #}
{% macro previous_moment() -%}
    (select seen.as_of from changes.seen as seen where seen.model = '{{ logged_name(this) }}')
{%- endmacro %}


{#
    The condition that keeps a query to the keys that changed. Unit tests and full refreshes, which
    have none, compute all.

    columns: those of the relation at hand, in the order of the model's key.
#}
{% macro only_changed(columns=none) -%}
    {%- set keys = key_columns() -%}
    {%- set columns = columns or keys -%}
    {{ where_changed(
        '(' ~ columns | join(', ') ~ ') in (select ' ~ keys | join(', ') ~ ' from ' ~ changed_keys() ~ ')'
    ) }}
{%- endmacro %}


{# Whether this run computes what changed: the table is there, and not to be made anew. #}
{% macro goes_by_changes() -%}
    {%- if execute and config.get('materialized') == 'snapshot' -%}
    {{ return(load_relation(this) is not none) }}
    {%- endif -%}
    {{ return(is_incremental()) }}
{%- endmacro %}


{# Any condition that holds for what changed; the marks keep it out of text_digest(). #}
{% macro where_changed(condition) -%}
    /* changed */ {{ condition if this is not none and goes_by_changes() else 'true' }} /* so far */
{%- endmacro %}


{#
    After a model: what it has seen. In a full refresh any of its rows may have changed; else the
    strategy has noted which did.
#}
{% macro remember_changes() -%}
    insert into changes.log (relation)
    select noted.name
    from {{ now_seen() }}
    cross join (
        values
        {%- for part in [''] + (config.get('meta') or {}).get('noted', {}).keys() | list %}
        ('{{ logged_name(this, part) }}'){{ ',' if not loop.last }}
        {%- endfor %}
    ) as noted (name)
    where is_whole;

    insert into changes.seen (model, snapshot, made_by, as_of)
    select
        '{{ logged_name(this) }}',
        snapshot,
        made_by,
        as_of
    from {{ now_seen() }}
    on conflict (model) do update
    set snapshot = excluded.snapshot, made_by = excluded.made_by, as_of = excluded.as_of
{%- endmacro %}


{#
    A digest of the text that rows are made by: the model's own, macros and variables filled in, and
    that of the views that it reads. The same whether the model runs for all keys or for some, at
    whatever moment, and in a copy of the database.
#}
{% macro text_digest() -%}
    {%- set text = modules.re.sub('(?s)/. changed ./.*?/. so far ./', '', model.compiled_code or '') -%}
    {%- set text = text | replace(scoring_moment(), 'as_of') | replace('"' ~ this.database ~ '".', '') -%}
    {%- set text = modules.re.sub('\\s+', ' ', text) -%}
    {%- set views = [] -%}
    {%- for id in model.depends_on.nodes if id.startswith('model.') -%}
        {%- set node = graph.nodes.get(id) -%}
        {%- if node -%}
        {%- do views.append("'" ~ node.schema ~ '.' ~ node.alias ~ "'") -%}
        {%- endif -%}
    {%- endfor -%}
    (
        select md5('{{ local_md5(text) }}' || coalesce(string_agg(definition, '' order by viewname), ''))
        from pg_views
        -- No others: they may be replaced this very moment.
        where schemaname || '.' || viewname in ({{ (views or ["''"]) | join(', ') }})
    )
{%- endmacro %}


{# The clocks of all locations: few, and seldom changed. #}
{% macro all_timezones() -%}
    (
        select string_agg(location_id || ' ' || timezone, ',' order by location_id)
        from {{ ref('stg_ghl__locations') }}
    )
{%- endmacro %}


{# A digest of all rows of a small relation, or of what source_rows() gives. #}
{% macro rows_digest(relation) -%}
    (select sum({{ row_digest(['held.*']) }}) from (select * from {{ relation }}) as held)
{%- endmacro %}


{#
    Loaded tables whose changes are noted, with the columns of their keys, as changes.note() takes
    them: `part:` before them says which of several keys it is. A table that is not there yet is
    watched from the first run that finds it.
#}
{% macro watched_sources() -%}
    {{ return({
        'raw_ghl.contacts': ['location_id,id'],
        'raw_ghl.contact_tombstones': ['location_id,contact_id'],
        'raw_ghl.messages': ['location_id,contact_id'],
        'raw_ghl.appointments': ['location_id,contact_id', 'id:location_id,id'],
        'raw_ghl.opportunities': ['location_id,contact_id', 'id:location_id,id'],
        'raw_import.leads': ['location_id,external_id'],
        'raw_twilio.messages': ['from_number', 'to_number'],
        'raw_sendgrid.suppressions': ['email'],
    }) }}
{%- endmacro %}


{# After a snapshot, whose writing is dbt's: the keys of the rows that it wrote. #}
{% macro note_written() -%}
    insert into changes.log (relation, key)
    select distinct
        '{{ logged_name(this) }}',
        array[{{ key_columns() | join('::text, ') }}::text]
    from {{ this }}
    where xmin = xid(pg_current_xact_id()) and not (select is_whole from {{ now_seen() }})
{%- endmacro %}


{# Before a run: triggers for the watched tables that have none, or others. #}
{% macro watch_sources() -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'snapshot'] -%}
    {%- for name, keys in watched_sources().items() -%}
    {%- set arguments = "'" ~ keys | join("', '") ~ "'" -%}
    {%- set is_watched = run_query(
        "select to_regclass('" ~ name ~ "') is null or exists (select from pg_trigger"
        ~ " where tgrelid = to_regclass('" ~ name ~ "') and tgname = 'note_" ~ local_md5(arguments) ~ "_emptied')"
    ).columns[0].values()[0] -%}
    {%- if not is_watched %}
    {%- for event, tables in {
        'insert': 'referencing new table as new_rows',
        'update': 'referencing old table as old_rows new table as new_rows',
        'delete': 'referencing old table as old_rows',
    }.items() %}
    create or replace trigger note_{{ local_md5(arguments) }}_{{ event }} after {{ event }} on {{ name }}
    {{ tables }} for each statement execute function changes.note({{ arguments }});
    {%- endfor %}
    create trigger note_{{ local_md5(arguments) }}_emptied after truncate on {{ name }}
    for each statement execute function changes.note({{ arguments }});
    insert into changes.log (relation) values
    {%- for key in keys %}
    ('{{ name ~ ('/' ~ key.split(':')[0] if ':' in key else '') }}'){{ ',' if not loop.last else ';' }}
    {%- endfor %}
    {%- endif %}
    {%- endfor %}
    {%- endif -%}
{%- endmacro %}


{# After a run: models that are no more, and news that all models have seen. #}
{% macro forget_changes() -%}
    {%- if execute and flags.WHICH in ['build', 'run', 'snapshot'] -%}
    delete from changes.seen
    where model not in (
        {%- for node in graph.nodes.values() if node.resource_type in ['model', 'snapshot'] -%}
        '{{ node.schema }}.{{ node.alias }}'{{ ', ' if not loop.last }}
        {%- endfor -%}
    );
    delete from changes.log
    where changed_by < (select min(pg_snapshot_xmin(snapshot)) from changes.seen)
    {%- endif -%}
{%- endmacro %}
