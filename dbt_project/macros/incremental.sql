{#
    Incremental strategies whose result is that of a full refresh, whatever happened to the rows
    below: came late, were corrected, deleted, merged, given to another lead; also when a macro or
    a variable changed. None goes by a clock. Full refreshes are only ever a matter of speed.
#}


{# A 64-bit digest of some values; equal values of equal types have equal digests. #}
{% macro row_digest(values) -%}
    {{ adapter.dispatch('row_digest')(values) }}
{%- endmacro %}

{% macro default__row_digest(values) -%}
    {{ exceptions.raise_compiler_error('row_digest has no form for this engine yet') }}
{%- endmacro %}

{% macro postgres__row_digest(values) -%}
    hash_record_extended(row({{ values | join(', ') }}), 0)
{%- endmacro %}


{#
    changed_leads: a digest per lead of all that its rows are made from is compared with the one
    that they were made from. The query runs for leads whose digests differ, and of their rows those
    that differ are replaced, found by a digest of each; a model needs a unique key, so that no row
    is there twice. The model restricts itself with only_changed_leads() and has hooks around it:
    find_changed_leads before, remember_inputs after, all in one transaction.

    Where rows change between the reading of the digest and the query, they are read again by the
    next run: what is remembered is never newer than what was read.
#}
{% macro get_incremental_changed_leads_sql(arguments) -%}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | list -%}
    {%- set differing = arguments.temp_relation.identifier ~ '_differing' -%}

    lock table {{ arguments.target_relation }} in share row exclusive mode;

    create temporary table "{{ differing }}" on commit drop as
    select
        held.place as held_place,
        built.place as built_place
    from (
        select
            ctid as place,
            {{ row_digest(columns) }} as digest
        from {{ arguments.target_relation }}
        where lead_id in (select lead_id from {{ changed_leads() }})
    ) as held
    full join (
        select
            ctid as place,
            {{ row_digest(columns) }} as digest
        from {{ arguments.temp_relation }}
    ) as built on held.digest = built.digest
    where held.place is null or built.place is null;

    delete from {{ arguments.target_relation }} as held
    using "{{ differing }}" as differing
    where held.ctid = differing.held_place;

    insert into {{ arguments.target_relation }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }}
    from {{ arguments.temp_relation }} as built
    where built.ctid in (select built_place from "{{ differing }}")
{%- endmacro %}


{# The temporary tables of the model at hand: leads to compute anew, and the digests of all. #}
{% macro changed_leads() -%}
    "{{ this.identifier }}__changed_leads"
{%- endmacro %}

{% macro read_inputs() -%}
    "{{ this.identifier }}__read_inputs"
{%- endmacro %}


{#
    The condition that keeps a query to the leads that changed. Unit tests and full refreshes, which
    have none, compute all.
#}
{% macro only_changed_leads(column='lead_id') -%}
    {%- if this is not none and is_incremental() -%}
    {{ column }} in (select lead_id from {{ changed_leads() }})
    {%- else -%}
    true
    {%- endif -%}
{%- endmacro %}


{#
    A digest of the text that rows are made by: the model's own, macros and variables filled in, and
    that of the staging views below it. The same whether the model runs for all leads or for some, and
    in a copy of the database.
#}
{% macro text_digest() -%}
    {%- set restriction = '\\S+ in \\(select lead_id from ' ~ changed_leads() ~ '\\)' -%}
    {%- set text = modules.re.sub(restriction, 'true', model.compiled_code or '') -%}
    {%- set text = modules.re.sub('\\s+', ' ', text) | replace('"' ~ this.database ~ '".', '') -%}
    md5(
        '{{ local_md5(text) }}' || (
            select string_agg(definition, '' order by viewname) from pg_views
            -- Without what dbt keeps of a view for a moment while it replaces it.
            where schemaname = 'staging' and viewname not like '%dbt\_%'
        )
    )
{%- endmacro %}


{#
    inputs: a relation with lead_id and inputs_digest.
    built: the same, as they were when the rows were made.
    also: an expression that no lead has to itself and every row is made from, such as a setting.
    Where nothing is remembered, whatever the table holds goes. In a full refresh all leads have
    changed, so that a query that restricts itself all the same gives every row.
#}
{% macro find_changed_leads(inputs, built, also=none) -%}
    create temporary table {{ read_inputs() }} on commit drop as
    select
        inputs.lead_id,
        -- A query of its own, so that it is worked out once and not for each lead.
        {{
            row_digest(
                ['inputs.inputs_digest', '(select ' ~ text_digest() ~ ')']
                + ([also] if also else [])
            )
        }} as inputs_digest
    from {{ inputs }} as inputs;

    create temporary table {{ changed_leads() }} on commit drop as
    select coalesce(inputs.lead_id, built.lead_id) as lead_id
    from {{ read_inputs() }} as inputs
    full join {{ built }} as built on inputs.lead_id = built.lead_id
    {%- if is_incremental() %}
    where inputs.inputs_digest is distinct from built.inputs_digest
    union
    select lead_id from {{ this }}
    where not exists (select 1 from {{ built }})
    {%- endif %};

    analyze {{ changed_leads() }}
{%- endmacro %}


{# The clocks of all locations: few, and seldom changed. #}
{% macro all_timezones() -%}
    (
        select string_agg(location_id || ' ' || timezone, ',' order by location_id)
        from {{ ref('stg_ghl__locations') }}
    )
{%- endmacro %}


{% macro remember_inputs(built) -%}
    truncate {{ built }};
    insert into {{ built }} (lead_id, inputs_digest)
    select
        lead_id,
        inputs_digest
    from {{ read_inputs() }}
{%- endmacro %}


{# An index on a loaded table that a model looks leads up by; loading knows only the keys. #}
{% macro index_source(source_name, table_name, columns) -%}
    {%- set relation = source(source_name, table_name) -%}
    {%- if execute and source_exists(relation) -%}
    create index if not exists {{ table_name ~ '_by_' ~ columns | join('_') }}
    on {{ relation }} ({{ columns | join(', ') }})
    {%- endif -%}
{%- endmacro %}


{#
    An incremental model whose table has other columns than its YAML now describes is built anew:
    rows of before lack what later ones have. Of all other models dbt decides as ever.
#}
{% macro should_full_refresh() -%}
    {%- set wanted = config.get('full_refresh') -%}
    {%- if wanted is none -%}
        {%- set wanted = flags.FULL_REFRESH -%}
    {%- endif -%}
    {%- if not wanted and execute and config.get('materialized') == 'incremental' -%}
        {%- set relation = load_cached_relation(this) -%}
        {%- if relation is not none and relation.type == 'table' -%}
            {%- set held = adapter.get_columns_in_relation(relation) | map(attribute='name') | sort -%}
            {%- set wanted = held | list != model.columns.keys() | sort | list -%}
        {%- endif -%}
    {%- endif -%}
    {{ return(wanted) }}
{%- endmacro %}


{#
    Query of a model that remembers what another's rows were made from. It makes the table empty: the
    other fills it, in the transaction that changes its rows, so that a build that fails half-way has
    not remembered what it did not do.

    inputs: the relation of lead_id and inputs_digest that the other reads.
#}
{% macro nothing_remembered(inputs) -%}
with inputs as (

    select * from {{ inputs }}

),

final as (

    select
        lead_id,
        {{ row_digest(['inputs_digest']) }} as inputs_digest
    from inputs
    where false

)

select * from final
{%- endmacro %}
