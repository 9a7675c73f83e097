with

checks as (

    select
        case check_name
            when 'newest_entry_at' then 1
            when 'published_at' then 2
            when 'lower_bound_responses' then 3
            when 'unpriced_models' then 4
            when 'dead_letters' then 5
            when 'unknown_entry_types' then 6
        end as place,
        case check_name
            when 'newest_entry_at' then 'Newest entry'
            when 'published_at' then 'Numbers built'
            when 'lower_bound_responses' then 'Output is a lower bound'
            when 'unpriced_models' then 'Models without a price'
            when 'dead_letters' then 'Unreadable lines'
            when 'unknown_entry_types' then 'Unknown entry types'
        end as what,
        case
            when check_name in ('dead_letters', 'unknown_entry_types') then cast(cast(check_value as bigint) as varchar)
            when check_name = 'lower_bound_responses' then check_text || ' responses'
            else coalesce(check_text, 'none')
        end as now,
        -- what the marts cannot know themselves: that nobody has built them for a while
        case
            when check_name in ('newest_entry_at', 'published_at') and epoch(now()) - check_value > 2 * 86400 then 'warn'
            else status
        end as status
    from agg_data_quality
    where
        check_name in (
            'newest_entry_at',
            'published_at',
            'lower_bound_responses',
            'unpriced_models',
            'dead_letters',
            'unknown_entry_types'
        )

)

select
    what,
    now,
    status
from checks
order by place
