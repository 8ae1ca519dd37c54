{#
    CTEs for a query that starts `with recursive`: components, with record_number and
    lowest_number, the lowest record that it hangs together with. Records without a tie are left
    out.

    ties: name of a CTE with record_number and tied_to_number.

    Walks start at records that have no lower neighbour; among them is the lowest of each
    component. Ties run from the records of a key to the lowest one of them, so that there is
    mostly one start in a component and the walks grow with the number of ties.
#}
{% macro lowest_connected(ties) -%}
links as (

    select
        record_number,
        tied_to_number
    from {{ ties }}
    where record_number != tied_to_number

    union distinct

    select
        tied_to_number as record_number,
        record_number as tied_to_number
    from {{ ties }}
    where record_number != tied_to_number

),

starts as (

    select record_number
    from links
    group by record_number
    having min(tied_to_number) > record_number

),

walks as (

    select
        record_number as start_number,
        record_number
    from starts

    union distinct

    select
        walks.start_number,
        links.tied_to_number as record_number
    from walks
    inner join links on walks.record_number = links.record_number

),

components as (

    select
        record_number,
        min(start_number) as lowest_number
    from walks
    group by record_number

)
{%- endmacro %}


{#
    Whether one name spells out another: each part is equal, or missing or an initial in the
    shorter name. Relations with given_name and family_name, '' where there is none.
#}
{% macro is_fuller_name(fuller, shorter) -%}
    (
        {%- for part in ['given_name', 'family_name'] %}
        ({{ shorter }}.{{ part }} = '' or {{ shorter }}.{{ part }} = {{ fuller }}.{{ part }}
        or {{ shorter }}.{{ part }} = substring({{ fuller }}.{{ part }}, 1, 1)) and
        {%- endfor %}
        ({{ fuller }}.given_name != {{ shorter }}.given_name
        or {{ fuller }}.family_name != {{ shorter }}.family_name)
    )
{%- endmacro %}
