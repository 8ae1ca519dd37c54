with source as (

    {{ select_source('raw_ghl', 'contact_tombstones') }}

),

final as (

    select
        location_id,
        contact_id,
        nullif(merged_into, contact_id) as merged_into,
        evidence,
        detected_at
    from source

)

select * from final
