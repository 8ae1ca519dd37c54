{# The days that spans of an agent's work cover; spans: a relation, or a query. #}
{% macro days_of_spans(spans) -%}
    select distinct
        spans.location_id,
        spans.agent_id,
        cast(day as date) as day
    from (select * from {{ spans if spans is not string else '(' ~ spans ~ ') as given' }}) as spans
    cross join lateral generate_series(spans.first_day, spans.end_day - 1, interval '1 day') as day
{%- endmacro %}


{#
    News of int_agent_days for models with the agent that a row goes by: the leads of the rows whose
    agent's day changed.
#}
{% macro news_of_agent_days(rows) -%}
    {{ return(news_of(ref('int_agent_days'), through='
        select held.lead_id
        from news
        inner join ' ~ rows ~ ' as held
            on
                news.key[1] = held.location_id
                and news.key[2] = held.agent_id
                and held.as_of >= ' ~ utc_day_begins('cast(news.key[3] as date)') ~ '
                and held.as_of < ' ~ utc_day_begins('cast(news.key[3] as date) + 1') ~ '
    ')) }}
{%- endmacro %}
