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


{#
    A number that orders records by a moment, the first lowest and those without one last, and
    records of one moment in an order that is always the same. 64 bits of a digest tell those apart.
#}
{% macro ordered_number(moment, parts) -%}
    {{ adapter.dispatch('ordered_number')(moment, parts) }}
{%- endmacro %}

{% macro default__ordered_number(moment, parts) -%}
    {{ exceptions.raise_compiler_error('ordered_number has no form for this engine yet') }}
{%- endmacro %}

{% macro postgres__ordered_number(moment, parts) -%}
    floor(extract(epoch from coalesce({{ moment }}, {{ end_of_time() }})) * 1000000) * 18446744073709551616
    + cast(
        cast(cast('x' || left(md5({{ parts | join(" || ':' || ") }}), 16) as bit(64)) as bigint) as numeric
    )
    + 9223372036854775808
{%- endmacro %}


{#
    find_changes() for models keyed by record_number: the records that changed, and all that hang
    together with them by any key that they have or had. Whatever ties a record is then in the set
    whole, however often a key is shared.
#}
{% macro find_changed_records() -%}
    {%- set records = ref('int_identity_records') -%}
    {%- set news = [
        news_of(records, 'number', 'select cast(key[1] as numeric) as record_number from news')
    ] -%}
    {%- for part, column in {
        'email': 'email', 'phone': 'phone', '': 'record_id', 'merged_into': 'record_id'
    }.items() -%}
        {%- do news.append(news_of(records, part, '
            select records.record_number
            from news
            inner join ' ~ records ~ ' as records
                on news.key[1] = records.location_id and news.key[2] = records.' ~ column
        )) -%}
    {%- endfor -%}
    {{ find_changes(
        news, 'select record_number from ' ~ records, more=[records_hanging_together(records)]
    ) }}
{%- endmacro %}


{# From the records in changed_keys(), those that share a key with one of them, and so on. #}
{% macro records_hanging_together(records) -%}
    with recursive reached as (
        select record_number from {{ changed_keys() }}
        union
        select found.record_number
        from reached
        inner join {{ records }} as ours on reached.record_number = ours.record_number
        cross join lateral (
            select record_number from {{ records }} as theirs
            where ours.location_id = theirs.location_id and ours.email = theirs.email
            union all
            select record_number from {{ records }} as theirs
            where ours.location_id = theirs.location_id and ours.phone = theirs.phone
            union all
            select record_number from {{ records }} as theirs
            where
                ours.location_id = theirs.location_id
                and theirs.record_id in (ours.record_id, ours.merged_into)
            union all
            select record_number from {{ records }} as theirs
            where ours.location_id = theirs.location_id and ours.record_id = theirs.merged_into
        ) as found
    )
    select record_number from reached
{%- endmacro %}


{# Through these from records, of whatever type, to the leads that they are of. #}
{% macro leads_of_records(record_type) -%}
    {{ return('
        select identities.lead_id
        from news
        inner join ' ~ ref('int_lead_identities') ~ " as identities
            on
                identities.record_type = '" ~ record_type ~ "'
                and news.key[1] = identities.location_id
                and news.key[2] = identities.record_id
    ") }}
{%- endmacro %}


{# From addresses, a query with location_id and address, to the leads that have provider's touches there. #}
{% macro leads_of_touches(addresses) -%}
    {{ return('
        select touches.lead_id
        from (' ~ addresses ~ ') as addresses
        inner join ' ~ ref('int_provider_touches') ~ ' as touches
            on addresses.location_id = touches.location_id and addresses.address = touches.address
    ') }}
{%- endmacro %}
