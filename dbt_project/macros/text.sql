{# Parts of a list are joined by this: no tag has a line break in it. #}
{% macro line_break() -%}
    chr(10)
{%- endmacro %}


{#
    A text of lines as a table function with the lines as rows; nothing for null. For use in a
    lateral join, with the name of the column after the alias.
#}
{% macro text_lines(expression) -%}
    {{ adapter.dispatch('text_lines')(expression) }}
{%- endmacro %}

{% macro default__text_lines(expression) -%}
    regexp_split_to_table({{ expression }}, {{ line_break() }})
{%- endmacro %}
