with

session_hours as (

    select * from {{ ref('agg_session_hours') }}

),

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

-- every hour of a week, Monday 2024-01-01 lending the names
hours as (

    select
        days.day_of_week,
        dayname(date '2024-01-01' + cast(days.day_of_week - 1 as integer)) as day_name,
        hours.hour_of_day
    from (select cast(unnest(range(1, 8)) as integer) as day_of_week) as days
    cross join (select cast(unnest(range(0, 24)) as integer) as hour_of_day) as hours

),

-- Offsets of time zones have been quarters of an hour since 1972: a quarter is shown in one, not each call.
quarters_with_calls as (

    select
        case
            when called_at >= timestamptz '1973-01-01 00:00:00+00'
                then to_timestamp(epoch_ms(called_at) // 900000 * 900)
            else called_at
        end as quarter_at,
        count(*) as tool_call_count
    from tool_calls
    where called_at is not null
    group by 1

),

activity as (

    select
        cast(isodow(date_key) as integer) as day_of_week,
        hour_of_day,
        sum(prompt_count) as prompt_count,
        sum(response_count) as response_count,
        0 as tool_call_count
    from session_hours
    where date_key is not null
    group by 1, 2

    union all

    select
        cast(isodow({{ local_date('quarter_at') }}) as integer),
        {{ local_hour('quarter_at') }},
        0,
        0,
        tool_call_count
    from quarters_with_calls

),

summed as (

    select
        day_of_week,
        hour_of_day,
        cast(sum(prompt_count) as bigint) as prompt_count,
        cast(sum(response_count) as bigint) as response_count,
        cast(sum(tool_call_count) as bigint) as tool_call_count
    from activity
    group by
        day_of_week,
        hour_of_day

),

final as (

    select
        {{ surrogate_key(['hours.day_of_week', 'hours.hour_of_day']) }} as hourly_key,
        hours.day_of_week,
        hours.day_name,
        hours.hour_of_day,
        coalesce(summed.prompt_count, 0) as prompt_count,
        coalesce(summed.response_count, 0) as response_count,
        coalesce(summed.tool_call_count, 0) as tool_call_count,
        coalesce(summed.prompt_count + summed.response_count + summed.tool_call_count, 0) as total_activity
    from hours
    left join summed
        on hours.day_of_week = summed.day_of_week
        and hours.hour_of_day = summed.hour_of_day

)

select * from final
