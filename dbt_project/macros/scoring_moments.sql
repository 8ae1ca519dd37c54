{#
    Leads whose moment may be another one than in the last run, though nothing was learnt of them:
    those that were of that run's moment, those of which an event has its time by now, or who came
    in since, and all of them on another day.
#}
{% macro leads_that_time_changes() -%}
    select held.lead_id from {{ this }} as held
    where held.as_of = {{ previous_moment() }} or held.next_learnt_at < {{ scoring_moment() }}
    union
    select leads.lead_id from {{ ref('int_leads') }} as leads
    where
        leads.created_at < {{ scoring_moment() }}
        and (
            leads.created_at >= {{ previous_moment() }}
            or {{ start_of_day(previous_moment()) }} <> {{ start_of_day(scoring_moment()) }}
        )
{%- endmacro %}
