{# Postgres-only helpers for staging: names made comparable, to tell the people of one number apart. #}

{# A name without case, accents, blanks and punctuation. Letters of other scripts stay as they are. #}
{% macro plain_name(expression) -%}
    regexp_replace(
        lower(
            translate(
                {{ expression }},
                'ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝàáâãäåçèéêëìíîïñòóôõöøùúûüýÿ',
                'AAAAAACEEEEIIIINOOOOOOUUUUYaaaaaaceeeeiiiinoooooouuuuyy'
            )
        ),
        '[[:space:][:punct:]]', '', 'g'
    )
{%- endmacro %}


{#
    A plain name; null where it says nobody.
    plain: a column with the plain_name of the expression, where it has been worked out.
#}
{% macro name_key(expression, plain=none) -%}
    {%- set plain = plain or plain_name(expression) -%}
    case
        when
            {{ plain }} in (
                '', 'unknown', 'none', 'null', 'na', 'nn', 'noname', 'notprovided', 'anonymous',
                'guest', 'lead', 'customer', 'wirelesscaller'
            )
            then null
        else {{ plain }}
    end
{%- endmacro %}


{# The name in full that a short form stands for; short forms of several names are left alone. #}
{% macro given_name_key(expression, plain=none) -%}
    {%- set short_forms = {
        'abigail': ['abby', 'gail'], 'andrew': ['andy', 'drew'], 'anthony': ['tony'],
        'barbara': ['barb'], 'benjamin': ['ben', 'benny'], 'catherine': ['cathy'],
        'charles': ['charlie', 'chuck'], 'christopher': ['topher'], 'daniel': ['dan', 'danny'],
        'david': ['dave', 'davey'], 'deborah': ['deb', 'debbie'], 'donald': ['don', 'donny'],
        'douglas': ['doug'], 'edward': ['eddie', 'ted'], 'elizabeth': ['liz', 'beth', 'betsy'],
        'gregory': ['greg'], 'jacob': ['jake'], 'james': ['jim', 'jimmy', 'jamie'],
        'jennifer': ['jen', 'jenny'], 'jessica': ['jess'], 'john': ['johnny'],
        'joseph': ['joe', 'joey'], 'joshua': ['josh'], 'katherine': ['kathy', 'katie'],
        'kenneth': ['ken', 'kenny'], 'lawrence': ['larry'], 'margaret': ['maggie', 'peggy'],
        'matthew': ['matt'], 'michael': ['mike', 'mick'], 'nathan': ['nate'],
        'nicholas': ['nick'], 'patricia': ['patty', 'trish'], 'peter': ['pete'],
        'rebecca': ['becky', 'becca'], 'richard': ['rich', 'rick', 'dick'],
        'robert': ['bob', 'bobby', 'rob', 'robbie'], 'ronald': ['ron', 'ronny'],
        'stephen': ['steve', 'steven'], 'susan': ['sue', 'susie'], 'thomas': ['tom', 'tommy'],
        'timothy': ['tim', 'timmy'], 'victoria': ['vicky'], 'william': ['bill', 'billy', 'will'],
        'zachary': ['zach'],
    } -%}
    {%- set key = name_key(expression, plain) -%}
    case ({{ key }})
        {%- for name, forms in short_forms.items() %}
        {%- for form in forms %}
        when '{{ form }}' then '{{ name }}'
        {%- endfor %}
        {%- endfor %}
        else ({{ key }})
    end
{%- endmacro %}
