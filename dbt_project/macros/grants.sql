{#
    Grants to roles that exist. A server on which we may make no roles still gets its models;
    `leadengine doctor` says which role is missing.
#}
{% macro postgres__apply_grants(relation, grant_config, should_revoke=True) -%}
    {%- set roles = run_query('select rolname from pg_roles').columns[0].values() if grant_config -%}
    {%- set grantable = {} -%}
    {%- for privilege, grantees in (grant_config or {}).items() -%}
        {%- do grantable.update({privilege: grantees | select('in', roles) | list}) -%}
    {%- endfor -%}
    {%- do default__apply_grants(relation, grantable, should_revoke) -%}
{%- endmacro %}
