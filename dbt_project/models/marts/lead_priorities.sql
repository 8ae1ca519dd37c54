{#
    A table, although it is but a join: a view would fall with dim_leads whenever that is rebuilt
    and be missing until the leads are scored again.
#}
{{
    config(
        tags=['after_scores'],
        indexes=[
            {'columns': ['lead_id'], 'unique': true},
            {'columns': ['location_id', 'rank']},
        ]
    )
}}

with scores as (

    select * from {{ source('ml', 'current_lead_scores') }}

),

predictions as (

    select * from {{ source('ml', 'lead_predictions') }}

),

leads as (

    select * from {{ ref('dim_leads') }}

),

opportunities as (

    select * from {{ ref('fct_opportunities') }}

),

consent_events as (

    select * from {{ ref('fct_consent_events') }}

),

hours as (

    select * from {{ ref('int_lead_hours') }}

),

lead_predictions as (

    select
        lead_id,
        {%- for target in ['conversion', 'uplift'] %}
            max(case when target = '{{ target }}' then probability end) as {{ target }},
            max(case when target = '{{ target }}' then low end) as {{ target }}_low,
            max(case when target = '{{ target }}' then high end) as {{ target }}_high,
        {%- endfor %}
        max(case when target = 'conversion' then evidence end) as conversion_evidence,
        max(case when target = 'reply_sms' then probability end) as reply_sms,
        max(case when target = 'reply_email' then probability end) as reply_email,
        max(case when target = 'no_show' then probability end) as no_show,
        max(case when target = 'recovery' then probability end) as recovery,
        max(case when target = 'convert_90d' then median_days end) as median_days
    from predictions
    group by lead_id

),

open_values as (

    select
        lead_id,
        max(value_cents) * {{ var('opportunity_value_share') }} as commission_cents
    from opportunities
    where status = 'open' and value_cents > 0
    group by lead_id

),

newest_consent as (

    -- On a tie the word against wins.
    select
        lead_id,
        channel,
        action,
        row_number() over (
            partition by lead_id, channel
            order by occurred_at desc, action desc
        ) as place
    from consent_events
    where purpose = 'marketing' and lead_id is not null

),

consent as (

    select
        lead_id,
        max(case when channel = 'sms' and action = 'granted' then 1 else 0 end) = 1 as may_text,
        max(case when channel = 'email' and action = 'granted' then 1 else 0 end) = 1 as may_mail
    from newest_consent
    where place = 1
    group by lead_id

),

commissions as (

    select
        leads.lead_id,
        leads.location_id,
        open_values.commission_cents as deal_commission_cents,
        coalesce(
            (leads.price_min_cents + leads.price_max_cents) / 2.0,
            leads.price_max_cents,
            leads.price_min_cents
        )
        * {{ var('commission_rate') }} as price_commission_cents
    from leads
    left join open_values on leads.lead_id = open_values.lead_id

),

known_commissions as (

    /*
        What the deal says, unless it is so far from what the wanted price says that somebody's
        finger slipped; then the price is believed.
    */
    select
        lead_id,
        location_id,
        case
            when
                deal_commission_cents is not null
                and (
                    price_commission_cents is null
                    or deal_commission_cents between
                    price_commission_cents / {{ var('commission_plausible_factor') }}
                    and price_commission_cents * {{ var('commission_plausible_factor') }}
                )
                then deal_commission_cents
            else price_commission_cents
        end as commission_cents,
        case
            when
                deal_commission_cents is not null
                and (
                    price_commission_cents is null
                    or deal_commission_cents between
                    price_commission_cents / {{ var('commission_plausible_factor') }}
                    and price_commission_cents * {{ var('commission_plausible_factor') }}
                )
                then 'deal'
            when price_commission_cents is not null then 'price'
        end as commission_basis
    from commissions

),

location_commissions as (

    select
        location_id,
        avg(commission_cents) as commission_cents
    from known_commissions
    group by location_id

),

open_leads as (

    select
        scores.lead_id,
        scores.location_id,
        leads.contact_id,
        leads.first_name,
        leads.last_name,
        scores.score,
        scores.tier,
        scores.reasons,
        leads.assigned_agent_id,
        leads.assigned_agent_name,
        leads.last_inbound_at,
        leads.last_outbound_at,
        scores.model_version,
        scores.as_of,
        leads.timezone,
        coalesce(lead_predictions.conversion, scores.score) as probability,
        coalesce(lead_predictions.conversion_low, 0) as probability_low,
        coalesce(lead_predictions.conversion_high, 1) as probability_high,
        coalesce(lead_predictions.conversion_evidence, 'unjudged') as probability_basis,
        lead_predictions.uplift,
        lead_predictions.uplift_low,
        lead_predictions.uplift_high,
        lead_predictions.no_show as no_show_probability,
        lead_predictions.recovery as recovery_probability,
        lead_predictions.median_days as median_days_to_convert,
        coalesce(
            known_commissions.commission_cents,
            location_commissions.commission_cents,
            {{ var('default_commission_cents') }}
        ) as commission_cents,
        case
            when known_commissions.commission_cents is not null then known_commissions.commission_basis
            when location_commissions.commission_cents is not null then 'location'
            else 'assumed'
        end as commission_basis,
        case
            when
                coalesce(consent.may_text, false)
                and leads.is_phone_valid
                and not (leads.is_dnd_all or leads.is_dnd_sms)
                then coalesce(lead_predictions.reply_sms, 0)
        end as reply_sms,
        case
            when
                coalesce(consent.may_mail, false)
                and leads.is_email_valid
                and not (leads.is_dnd_all or leads.is_dnd_email)
                then coalesce(lead_predictions.reply_email, 0)
        end as reply_email,
        coalesce(leads.is_phone_valid and not (leads.is_dnd_all or leads.is_dnd_call), false) as may_call,
        hours.best_hour
    from scores
    inner join leads on scores.lead_id = leads.lead_id
    left join lead_predictions on scores.lead_id = lead_predictions.lead_id
    left join known_commissions on scores.lead_id = known_commissions.lead_id
    left join location_commissions on scores.location_id = location_commissions.location_id
    left join consent on scores.lead_id = consent.lead_id
    left join hours on scores.lead_id = hours.lead_id
    where leads.is_open

),

effects as (

    -- The effect as a share of the probability: measured where holdouts tell, assumed elsewhere.
    select
        *,
        case
            when uplift is not null then uplift / nullif(probability, 0)
            else {{ var('assumed_effect') }}
        end as effect_of_acting,
        case
            when uplift is not null then uplift_low / nullif(probability, 0)
            else {{ var('assumed_effect_low') }}
        end as effect_low,
        case
            when uplift is not null then uplift_high / nullif(probability, 0)
            else {{ var('assumed_effect_high') }}
        end as effect_high,
        case when uplift is not null then 'holdouts' else 'assumed' end as effect_basis,
        case
            when reply_sms is not null and reply_sms >= coalesce(reply_email, 0) then 'sms'
            when reply_email is not null then 'email'
            when may_call then 'call'
        end as next_best_channel
    from open_leads

),

relative_errors as (

    -- Probability and effect are estimated apart: their relative errors add up as squares.
    select
        *,
        probability * commission_cents * effect_of_acting as gain_cents,
        sqrt(
            power((probability - probability_low) / nullif(probability, 0), 2)
            + power((effect_of_acting - effect_low) / nullif(effect_of_acting, 0), 2)
        ) as relative_low,
        sqrt(
            power((probability_high - probability) / nullif(probability, 0), 2)
            + power((effect_high - effect_of_acting) / nullif(effect_of_acting, 0), 2)
        ) as relative_high
    from effects

),

valued as (

    select
        *,
        gain_cents - {{ var('action_cost_cents') }} as value_cents,
        gain_cents - abs(gain_cents) * coalesce(relative_low, 0) - {{ var('action_cost_cents') }}
            as value_low_cents,
        gain_cents + abs(gain_cents) * coalesce(relative_high, 0) - {{ var('action_cost_cents') }}
            as value_high_cents
    from relative_errors

),

final as (

    select
        lead_id,
        location_id,
        contact_id,
        first_name,
        last_name,
        score,
        tier,
        cast(
            row_number() over (order by value_cents desc, score desc, lead_id asc) as integer
        ) as rank,
        reasons,
        assigned_agent_id,
        assigned_agent_name,
        last_inbound_at,
        last_outbound_at,
        model_version,
        as_of,
        probability,
        probability_low,
        probability_high,
        probability_basis,
        cast(round(cast(commission_cents as numeric)) as bigint) as expected_commission_cents,
        commission_basis,
        cast(effect_of_acting as double precision) as effect_of_acting,
        effect_basis,
        cast({{ var('action_cost_cents') }} as bigint) as action_cost_cents,
        cast(round(cast(value_cents as numeric)) as bigint) as expected_value_cents,
        cast(round(cast(value_low_cents as numeric)) as bigint) as expected_value_low_cents,
        cast(round(cast(value_high_cents as numeric)) as bigint) as expected_value_high_cents,
        next_best_channel,
        best_hour as next_best_hour,
        timezone,
        case next_best_channel when 'sms' then reply_sms when 'email' then reply_email end
            as reply_probability,
        no_show_probability,
        recovery_probability,
        median_days_to_convert
    from valued

)

select * from final
