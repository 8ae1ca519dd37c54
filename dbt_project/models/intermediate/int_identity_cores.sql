{{
    config(
        materialized='incremental',
        incremental_strategy='changed_keys',
        on_schema_change='fail',
        indexes=[
            {'columns': ['record_number'], 'unique': true},
        ],
        meta={'changed_by': ['record_number']},
        pre_hook="{{ find_changed_records() }}",
        post_hook="{{ remember_changes() }}"
    )
}}

with recursive records as (

    select * from {{ ref('int_identity_records') }}
    where {{ only_changed() }}

),

ties as (

    select * from {{ ref('int_identity_ties') }}
    where {{ only_changed() }}

),

{{ lowest_connected('ties') }},

final as (

    select
        records.record_number,
        coalesce(components.lowest_number, records.record_number) as core_number
    from records
    left join components on records.record_number = components.record_number

)

select * from final
