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
    changed_rows: the model's query runs whole; of its rows, those that the table lacks are
    inserted, and rows of the table that the query no longer gives are deleted. What that saves is
    writing, indexing and vacuuming all the others. Rows are compared by their digests; a model
    needs a unique key, so that no row is there twice.
#}
{% macro get_incremental_changed_rows_sql(arguments) -%}
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


{#
    changed_leads: for a model that is costly to compute. A digest per lead of all that its rows are
    made from is compared with the one that they were made from; the query runs for leads whose
    digests differ, and their rows are replaced. The model says so with hooks around it:
    find_changed_leads before, remember_inputs after, all in one transaction.
#}
{% macro get_incremental_changed_leads_sql(arguments) -%}
    {%- set columns = arguments.dest_columns | map(attribute='quoted') | join(', ') -%}
    delete from {{ arguments.target_relation }} as held
    using {{ changed_leads() }} as changed
    where held.lead_id = changed.lead_id;

    insert into {{ arguments.target_relation }} ({{ columns }})
    select {{ columns }}
    from {{ arguments.temp_relation }}
{%- endmacro %}


{# The temporary table of leads to compute anew, of the model at hand. #}
{% macro changed_leads() -%}
    "{{ this.identifier }}__changed_leads"
{%- endmacro %}


{% macro find_changed_leads(inputs, built) -%}
    create temporary table {{ changed_leads() }} on commit drop as
    select coalesce(inputs.lead_id, built.lead_id) as lead_id
    from {{ inputs }} as inputs
    full join {{ built }} as built on inputs.lead_id = built.lead_id
    where inputs.inputs_digest is distinct from built.inputs_digest
{%- endmacro %}


{% macro remember_inputs(inputs, built) -%}
    truncate {{ built }};
    insert into {{ built }} (lead_id, inputs_digest)
    select
        lead_id,
        inputs_digest
    from {{ inputs }}
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
