{#
    The features of one lead at one moment: the same macro over a spine of one row, with two bound
    parameters in the driver's own style. rendered/one_lead_features.sql is this file, compiled.
#}
with one_lead as (

    select
        cast(%(lead_id)s as text) as lead_id,
        cast(%(as_of)s as timestamp with time zone) as as_of

),

features as (

    {{ lead_features('one_lead') }}

)

select * from features
