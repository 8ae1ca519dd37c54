with source as (

    {{ select_source('raw_ghl', 'users') }}

),

final as (

    select
        location_id,
        id as agent_id,
        coalesce(nullif(trim(name), ''), nullif(trim(concat_ws(' ', first_name, last_name)), ''))
            as agent_name,
        {{ clean_text('email') }} as email,
        case when {{ is_e164(e164('phone')) }} then {{ e164('phone') }} end as phone,
        role,
        not coalesce(deleted, false) as is_active
    from source

)

select * from final
