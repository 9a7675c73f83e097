{{ config(materialized='table') }}

with final as (

    select distinct {{ local_date('occurred_at') }} as date_key
    from {{ ref('int_related_entries') }}
    where
        -- many entries of other types have no time, but none of them becomes a row with a day
        (occurred_at is not null or entry_type in ('user', 'assistant') or is_queued_command)
        {%- if flags.FULL_REFRESH %}
        -- nothing is looked for by day when everything is computed
        and false
        {%- endif %}

)

select * from final
