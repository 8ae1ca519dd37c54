{# Leads whose next training point has its label by now, and had not when the spine was last made. #}
{% macro leads_with_a_further_point() -%}
    {%- set label_seconds = (1 + var('label_days')) * 86400 -%}
    {%- set step_seconds = var('spine_step_days') * 86400 -%}
    -- A second more on both sides: whole seconds are rounded.
    select leads.lead_id
    from {{ ref('int_leads') }} as leads
    where
        floor(
            ({{ seconds_between('leads.created_at', scoring_moment()) }} + 1 - {{ label_seconds }})
            / cast({{ step_seconds }} as double precision)
        ) <> floor(
            ({{ seconds_between('leads.created_at', previous_moment()) }} - 1 - {{ label_seconds }})
            / cast({{ step_seconds }} as double precision)
        )
{%- endmacro %}
