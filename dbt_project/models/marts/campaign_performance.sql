{{ config(indexes=[{'columns': ['campaign_id', 'location_id'], 'unique': true}]) }}

{%- set arms = ['send', 'holdout'] %}
{%- set judged = ['converted', 'kept'] %}
{%- set outcomes = ['replied', 'opted_out', 'booked', 'kept', 'won'] %}

with campaign_leads as (

    select * from {{ ref('fct_campaign_leads') }}

),

campaigns as (

    select * from {{ ref('dim_campaigns') }}

),

counts as (

    select
        campaign_id,
        location_id,
        count(distinct batch_id) as batches,
        count(distinct holdout_share) as holdout_shares,
        min(started_at) as first_started_at,
        max(started_at) as last_started_at,
        avg({{ days_between('started_at', scoring_moment()) }}) as mean_days,
        count(case when is_sent then 1 end) as leads_sent,
        count(case when is_delivered then 1 end) as leads_delivered,
        sum(holdout_share) as expected_holdout,
        var_samp(cast(won_value_cents as double precision)) as value_variance,
        sum(holdout_share * (1 - holdout_share)) as holdout_variance,
        {%- for arm in arms %}
            count(case when arm = '{{ arm }}' then 1 end) as {{ arm }}_leads,
            {%- for outcome in outcomes %}
                count(case when arm = '{{ arm }}' then {{ outcome }}_at end) as {{ arm }}_{{ outcome }},
            {%- endfor %}
            coalesce(sum(case when arm = '{{ arm }}' then won_value_cents end), 0)
                as {{ arm }}_won_value_cents,
            count(case when arm = '{{ arm }}' and is_reached_elsewhere then 1 end)
                as {{ arm }}_reached_elsewhere,
        {%- endfor %}
        count(case when arm = 'send' and is_converted then 1 end) as send_converted,
        count(case when arm = 'holdout' and is_converted then 1 end) as holdout_converted
    from campaign_leads
    group by campaign_id, location_id

),

factors as (

    -- How many standard errors wide the intervals are, so that they hold however often one looks.
    select
        *,
        {%- for outcome in judged %}
            {{ mixture_factor('(send_' ~ outcome ~ ' + holdout_' ~ outcome ~ ')') }}
                as {{ outcome }}_factor,
        {%- endfor %}
        {{ mixture_factor('(send_won + holdout_won)') }} as value_factor
    from counts

),

rates as (

    select
        *,
        {%- for arm in arms %}
            {{ fraction(arm ~ '_replied', arm ~ '_leads') }} as {{ arm }}_reply_rate,
            {{ fraction(arm ~ '_won_value_cents', arm ~ '_leads') }} as {{ arm }}_value_per_lead,
            {%- for outcome in judged %}
                {{ fraction(arm ~ '_' ~ outcome, arm ~ '_leads') }} as {{ arm }}_{{ outcome }}_rate,
                {{ wilson_low(arm ~ '_' ~ outcome, arm ~ '_leads', outcome ~ '_factor') }}
                    as {{ arm }}_{{ outcome }}_low,
                {{ wilson_high(arm ~ '_' ~ outcome, arm ~ '_leads', outcome ~ '_factor') }}
                    as {{ arm }}_{{ outcome }}_high,
            {%- endfor %}
        {%- endfor %}
        leads_sent > 0
        and mean_days >= {{ var('campaign_min_days') }}
        and send_leads >= {{ var('campaign_min_leads_per_arm') }}
        and holdout_leads >= {{ var('campaign_min_leads_per_arm') }}
        and send_converted + holdout_converted >= {{ var('campaign_min_conversions') }}
            as has_enough_data,
        value_factor * sqrt(
            value_variance * (1.0 / nullif(send_leads, 0) + 1.0 / nullif(holdout_leads, 0))
        ) as value_half_width
    from factors

),

differences as (

    select
        *,
        {%- for outcome in judged %}
            case when has_enough_data then send_{{ outcome }}_rate - holdout_{{ outcome }}_rate end
                as {{ outcome }}_difference,
            case when has_enough_data then {{ difference_low(outcome) }} end
                as {{ outcome }}_difference_low,
            case when has_enough_data then {{ difference_high(outcome) }} end
                as {{ outcome }}_difference_high,
        {%- endfor %}
        case when has_enough_data then send_value_per_lead - holdout_value_per_lead end as value_difference,
        has_enough_data
        and send_won + holdout_won >= {{ var('campaign_min_deals') }} as has_enough_deals
    from rates

),

final as (

    select
        differences.campaign_id,
        differences.location_id,
        campaigns.audience,
        campaigns.sequence,
        cast(differences.batches as integer) as batches,
        differences.first_started_at,
        differences.last_started_at,
        cast(differences.mean_days as double precision) as mean_days,
        cast(differences.leads_sent as integer) as leads_sent,
        cast(differences.leads_delivered as integer) as leads_delivered,
        {%- for arm in arms %}
            {%- for count in ['leads'] + outcomes + ['converted'] %}
                cast(differences.{{ arm }}_{{ count }} as integer) as {{ arm }}_{{ count }},
            {%- endfor %}
            cast(differences.{{ arm }}_won_value_cents as bigint) as {{ arm }}_won_value_cents,
            cast(differences.{{ arm }}_reached_elsewhere as integer) as {{ arm }}_reached_elsewhere,
            differences.{{ arm }}_reply_rate,
            differences.{{ arm }}_converted_rate as {{ arm }}_conversion_rate,
        {%- endfor %}
        differences.converted_difference as conversion_difference,
        differences.converted_difference_low as difference_low,
        differences.converted_difference_high as difference_high,
        differences.converted_difference * differences.send_leads as extra_conversions,
        differences.kept_difference,
        differences.kept_difference_low,
        differences.kept_difference_high,
        differences.kept_difference * differences.send_leads as extra_appointments,
        differences.value_difference as value_difference_cents,
        case
            when differences.has_enough_deals
                then differences.value_difference - differences.value_half_width
        end as value_difference_low_cents,
        case
            when differences.has_enough_deals
                then differences.value_difference + differences.value_half_width
        end as value_difference_high_cents,
        cast(round(cast(differences.value_difference * differences.send_leads as numeric)) as bigint)
            as extra_value_cents,
        case
            when not differences.has_enough_data then 'not enough data yet'
            when differences.converted_difference_low > 0 then 'worked'
            when differences.converted_difference_high < 0 then 'did harm'
            else 'no difference'
        end as verdict,
        differences.holdout_shares > 1 as has_mixed_shares,
        -- A chi-squared test with one degree of freedom at 0.001, once the normal curve fits.
        case
            when differences.holdout_variance >= 5
                then
                    power(differences.holdout_leads - differences.expected_holdout, 2)
                    / differences.holdout_variance
                    > 10.828
        end as is_sample_ratio_off
    from differences
    inner join campaigns on differences.campaign_id = campaigns.campaign_id

)

select * from final
