with source as (

    {{ select_source('raw_ghl', 'pipelines') }}

),

final as (

    select
        source.location_id,
        source.id as pipeline_id,
        item.stage ->> 'id' as stage_id,
        item.stage ->> 'name' as stage_name,
        cast(item.place as integer) as stage_position
    from source
    cross join
        lateral jsonb_array_elements({{ json_array('source.stages') }})
        with ordinality as item (stage, place)

)

select * from final
