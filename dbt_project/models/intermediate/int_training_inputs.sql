{{ config(indexes=[{'columns': ['lead_id'], 'unique': true}], post_hook='analyze {{ this }}') }}

{#
    Everything that the features of a lead can be made from, and the macro itself: while the digest
    stays, the training rows stay. A test holds the relations here to those of the macro.
#}

with spine as (

    select * from {{ ref('int_training_spine') }}

),

timeline as (

    select * from {{ ref('int_lead_timeline') }}

),

leads as (

    select * from {{ ref('int_leads') }}

),

points as (

    select
        lead_id,
        sum({{ row_digest(['location_id', 'as_of', 'label']) }}) as digest
    from spine
    group by lead_id

),

histories as (

    select
        timeline.lead_id,
        sum({{ row_digest(['timeline.*']) }}) as digest
    from timeline
    group by timeline.lead_id

),

final as (

    select
        points.lead_id,
        {{ row_digest([
            'points.digest',
            'histories.digest',
            'leads.*',
            "cast('" ~ local_md5(lead_features('spine') ~ feature_list('features')) ~ "' as text)",
        ]) }} as inputs_digest
    from points
    inner join leads on points.lead_id = leads.lead_id
    left join histories on points.lead_id = histories.lead_id

)

select * from final
