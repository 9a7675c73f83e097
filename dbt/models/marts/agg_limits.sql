{%- set counts = token_columns() + ['response_count', 'unpriced_response_count', 'lower_bound_response_count'] -%}

with

blocks as (

    select * from {{ ref('agg_billing_blocks') }}

),

reports as (

    select * from {{ ref('int_reported_limits') }}

),

plan_limits as (

    select * from {{ ref('int_plan_limits') }}

),

days as (

    select
        epoch_ms(hour_started_at) // 86400000 as epoch_day,
        {{ summed_response_measures() }}
    from {{ ref('agg_session_hours') }}
    where
        response_count > 0
        and hour_started_at is not null
    group by 1

),

weeks as (

    select
        epoch_day,
        {%- for count in counts %}
        sum({{ count }}) over week as {{ count }},
        {%- endfor %}
        sum(cost_usd) over week as cost_usd
    from days
    window week as (order by epoch_day range between 6 preceding and current row)

),

windows as (

    select
        'five_hour' as limit_window,
        started_at,
        ended_at,
        started_at as told_from,
        {%- for count in counts %}
        {{ count }},
        {%- endfor %}
        cost_usd
    from blocks
    union all
    select
        'seven_day',
        to_timestamp((epoch_day - 6) * 86400),
        to_timestamp((epoch_day + 1) * 86400),
        to_timestamp(epoch_day * 86400),
        {%- for count in counts %}
        {{ count }},
        {%- endfor %}
        cost_usd
    from weeks

),

-- Claude Code's last word while a block ran, or on the last of the seven days.
told as (

    select
        windows.limit_window,
        windows.ended_at,
        max(reports.reported_at) as reported_at,
        arg_max(reports.used_ratio, reports.reported_at) as used_ratio,
        arg_max(reports.resets_at, reports.reported_at) as resets_at
    from windows
    inner join reports
        on windows.limit_window = reports.limit_window
        and reports.reported_at >= windows.told_from
        and reports.reported_at < windows.ended_at
    group by
        windows.limit_window,
        windows.ended_at

),

compared as (

    select
        windows.*,
        told.reported_at,
        told.used_ratio as told_ratio,
        told.resets_at,
        plan_limits.limit_usd,
        max(windows.cost_usd) over (
            partition by windows.limit_window
            order by windows.ended_at
            rows between unbounded preceding and current row
        ) as largest_usd
    from windows
    left join told
        on windows.limit_window = told.limit_window
        and windows.ended_at = told.ended_at
    left join plan_limits
        on windows.limit_window = plan_limits.limit_window

),

final as (

    select
        {{ surrogate_key(['limit_window', 'epoch_ms(ended_at)']) }} as limit_key,
        limit_window,
        started_at,
        ended_at,
        {%- for count in counts %}
        cast({{ count }} as bigint) as {{ count }},
        {%- endfor %}
        cast(cost_usd as decimal(18, 9)) as cost_usd,
        coalesce(
            told_ratio,
            {{ rate('cost_usd', 'cast(coalesce(limit_usd, cast(largest_usd as double)) as double)') }}
        ) as used_ratio,
        resets_at,
        told_ratio is null as is_estimate,
        case
            when told_ratio is not null then 'as Claude Code reported'
            when limit_usd is not null then 'share of what the plan allows'
            when largest_usd > 0 then 'share of the largest so far'
        end as basis,
        reported_at
    from compared

)

select * from final
