{{ config(materialized='incremental') }}

with copies as (

    select * from {{ ref('stg_entries') }}
    {%- if is_incremental() %}
    where load_id > (select coalesce(max(load_id), 0) from {{ this }})
    {%- endif %}

),

final as (

    select
        load_id,
        entry_type,
        case
            when entry_type is null or entry_type not in ('{{ known_entry_types() | join("', '") }}')
                then coalesce(version, 'unknown version')
        end as version_of_unknown_type,
        count(*) as document_count,
        count(*) filter (where entry_type in ('user', 'assistant') and occurred_at is null) as untimed_count,
        min(occurred_at) as oldest_entry_at,
        max(occurred_at) as newest_entry_at
    from copies
    group by all

)

select * from final
