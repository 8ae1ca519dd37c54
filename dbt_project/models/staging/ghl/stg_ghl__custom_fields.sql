with source as (

    {{ select_source('raw_ghl', 'custom_fields') }}

),

final as (

    select
        location_id,
        id as custom_field_id,
        name as field_name,
        field_key,
        data_type
    from source

)

select * from final
