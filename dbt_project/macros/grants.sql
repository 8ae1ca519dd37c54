{#
    Grants to roles that exist. A server on which we may make no roles still gets its models;
    `leadengine doctor` says which role is missing.

    Columns whose YAML says `config: {meta: {personal: phone}}` (or email) are granted to nobody:
    the others are granted one by one, and the view <model>_masked beside the model has all of them,
    those masked. dbt calls this in the transaction that swaps the new table in, so neither grants
    nor view are ever missing, or ever wider than this.
#}
{% macro postgres__apply_grants(relation, grant_config, should_revoke=True) -%}
    {%- if grant_config -%}
        {%- set roles = run_query('select rolname from pg_roles').columns[0].values() -%}
        {%- set grantable = {} -%}
        {%- for privilege, grantees in grant_config.items() -%}
            {%- do grantable.update({privilege: grantees | select('in', roles) | list}) -%}
        {%- endfor -%}
        {%- set personal = personal_columns() -%}
        {%- if personal -%}
            {%- do mask(relation, personal, grantable.get('select', [])) -%}
        {%- else -%}
            {%- do default__apply_grants(relation, grantable, should_revoke) -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}


{# The model's personal columns: name and what they hold. #}
{% macro personal_columns() -%}
    {%- set found = {} -%}
    {%- for column in model.columns.values() -%}
        {%- set kind = column.get('meta', {}).get('personal') -%}
        {%- if kind -%}
            {%- do found.update({column.name: kind}) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(found) }}
{%- endmacro %}


{% macro mask(relation, personal, grantees) -%}
    {%- set view = relation.incorporate(
        path={'identifier': relation.identifier ~ '_masked'}, type='view'
    ) -%}
    {%- set names = adapter.get_columns_in_relation(relation) | map(attribute='name') | list -%}
    {%- set open = names | reject('in', personal) | list -%}
    {%- call statement('mask') -%}
        drop view if exists {{ view }} cascade;
        create view {{ view }} as
        select
            {%- for name in names %}
            {{ masked(name, personal[name]) if name in personal else name }} as {{ name }}
            {{- ',' if not loop.last }}
            {%- endfor %}
        from {{ relation }};
        comment on view {{ view }} is
        $comment${{ model.description | trim }} Phone and email are masked.$comment$;
        {%- for column in model.columns.values() if column.name in names %}
        comment on column {{ view }}.{{ column.name }} is
        $comment${{ column.description }}
        {{- ' Masked: enough to tell rows apart.' if column.name in personal }}$comment$;
        {%- endfor %}
        {%- for grantee in grantees %}
        revoke select on {{ relation }} from {{ adapter.quote(grantee) }};
        grant select ({{ open | join(', ') }}) on {{ relation }} to {{ adapter.quote(grantee) }};
        grant select on {{ view }} to {{ adapter.quote(grantee) }};
        {%- endfor %}
    {%- endcall -%}
{%- endmacro %}


{#
    What an analyst sees of a personal value; null stays null. Of an email its first letter and its
    domain, of a phone number its last two digits, of anything else that it is there.
#}
{% macro masked(column, kind) -%}
    {%- if kind == 'email' -%}
    case
        when strpos({{ column }}, '@') > 1
            then left({{ column }}, 1) || '***' || substr({{ column }}, strpos({{ column }}, '@'))
        else left({{ column }}, 0) || '***'
    end
    {%- elif kind == 'phone' -%}
    left({{ column }}, 0) || '********' || right({{ column }}, 2)
    {%- else -%}
    case when {{ column }} is not null then '***' end
    {%- endif -%}
{%- endmacro %}
