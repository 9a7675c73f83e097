with

responses as (

    select
        *,
        epoch_ms(hour_started_at) // 3600000 as epoch_hour
    from {{ ref('agg_session_hours') }}
    where
        response_count > 0
        and hour_started_at is not null

),

active_hours as (

    select distinct epoch_hour
    from responses

),

-- a block lasts five hours, so after five hours without a response the next one always opens a block: the hours fall
-- into runs that can be cut into blocks independently
runs as (

    select
        epoch_hour,
        sum(opens_run) over (order by epoch_hour) as run_number
    from (
        select
            epoch_hour,
            case when epoch_hour - lag(epoch_hour) over (order by epoch_hour) < 5 then 0 else 1 end as opens_run
        from active_hours
    )

),

-- within a run each block decides where the next may start: fold the hours, keeping those that start a block
block_starts as (

    select unnest(
        list_reduce(
            list([epoch_hour] order by epoch_hour),
            lambda starts, hour: case when hour[1] >= starts[-1] + 5 then list_append(starts, hour[1]) else starts end
        )
    ) as start_hour
    from runs
    group by run_number

),

hours_in_blocks as (

    select
        active_hours.epoch_hour,
        block_starts.start_hour
    from active_hours
    asof inner join block_starts
        on active_hours.epoch_hour >= block_starts.start_hour

),

blocks as (

    select
        to_timestamp(hours_in_blocks.start_hour * 3600) as started_at,
        to_timestamp((hours_in_blocks.start_hour + 5) * 3600) as ended_at,
        min(responses.first_response_at) as first_response_at,
        max(responses.last_response_at) as last_response_at,
        count(distinct responses.session_id) as session_count,
        {{ summed_response_measures() }}
    from responses
    inner join hours_in_blocks
        on responses.epoch_hour = hours_in_blocks.epoch_hour
    group by hours_in_blocks.start_hour

),

final as (

    select
        {{ surrogate_key(['epoch_ms(started_at)']) }} as block_key,
        started_at,
        ended_at,
        last_response_at,
        {{ local_date('started_at') }} as started_date_key,
        response_count,
        session_count,
        {%- for tokens in token_columns() %}
        {{ tokens }},
        {%- endfor %}
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count,
        {{ burn_rate() }} as burn_rate_usd_per_hour,
        started_at <= {{ as_of() }} and {{ as_of() }} < ended_at as is_current
    from blocks

)

select * from final
