{{ config(indexes=[{'columns': ['campaign_id', 'location_id'], 'unique': true}]) }}

{%- set arms = ['send', 'holdout'] %}
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
        sum(holdout_share * (1 - holdout_share)) as holdout_variance,
        {%- for arm in arms %}
            count(case when arm = '{{ arm }}' then 1 end) as {{ arm }}_leads,
            {%- for outcome in outcomes %}
                count(case when arm = '{{ arm }}' then {{ outcome }}_at end) as {{ arm }}_{{ outcome }},
            {%- endfor %}
            coalesce(sum(case when arm = '{{ arm }}' then won_value_cents end), 0)
                as {{ arm }}_won_value_cents,
        {%- endfor %}
        count(case when arm = 'send' and is_converted then 1 end) as send_converted,
        count(case when arm = 'holdout' and is_converted then 1 end) as holdout_converted
    from campaign_leads
    group by campaign_id, location_id

),

rates as (

    select
        *,
        {%- for arm in arms %}
            {{ fraction(arm ~ '_replied', arm ~ '_leads') }} as {{ arm }}_reply_rate,
            {{ fraction(arm ~ '_converted', arm ~ '_leads') }} as {{ arm }}_conversion_rate,
            {{ wilson_low(arm ~ '_converted', arm ~ '_leads') }} as {{ arm }}_low,
            {{ wilson_high(arm ~ '_converted', arm ~ '_leads') }} as {{ arm }}_high,
        {%- endfor %}
        leads_sent > 0
        and mean_days >= {{ var('campaign_min_days') }}
        and send_leads >= {{ var('campaign_min_leads_per_arm') }}
        and holdout_leads >= {{ var('campaign_min_leads_per_arm') }}
        and send_converted + holdout_converted >= {{ var('campaign_min_conversions') }} as has_enough_data
    from counts

),

differences as (

    select
        *,
        case when has_enough_data then send_conversion_rate - holdout_conversion_rate end
            as conversion_difference,
        case
            when has_enough_data
                then
                    send_conversion_rate - holdout_conversion_rate
                    - sqrt(
                        power(send_conversion_rate - send_low, 2)
                        + power(holdout_high - holdout_conversion_rate, 2)
                    )
        end as difference_low,
        case
            when has_enough_data
                then
                    send_conversion_rate - holdout_conversion_rate
                    + sqrt(
                        power(send_high - send_conversion_rate, 2)
                        + power(holdout_conversion_rate - holdout_low, 2)
                    )
        end as difference_high
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
            differences.{{ arm }}_reply_rate,
            differences.{{ arm }}_conversion_rate,
        {%- endfor %}
        differences.conversion_difference,
        differences.difference_low,
        differences.difference_high,
        case
            when not differences.has_enough_data then 'not enough data yet'
            when differences.difference_low > 0 then 'worked'
            when differences.difference_high < 0 then 'did harm'
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
