with

{{snippet: compared_months}},

usage as (

    select
        date_key,
        project_id,
        model,
        cost_usd
    from agg_session_hours
    where
        response_count > 0
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

),

built as (

    select to_timestamp(check_value)::date as built_day
    from agg_data_quality
    where check_name = 'published_at'

),

periods as (

    select
        month_start - 1 as period,
        -- a month that began before the history did cannot be compared with a whole one
        case when previous_start >= history_start then previous_start end as from_day,
        month_start - 1 as to_day,
        1.0 as day_share
    from compared_months
    union all
    select
        through_day,
        month_start,
        through_day,
        -- a month that is over is complete, however early its last entry was
        case
            when built.built_day > last_day(compared_months.through_day) then 1.0
            else (through_day - month_start + 1) / day(last_day(through_day))
        end
    from compared_months
    left join built
        on true

)

select
    periods.period,
    -- nothing was spent where nothing was asked; what responses without a price cost stays unknown
    case
        when min(periods.from_day) is not null and count(usage.date_key) = 0 then 0
        else sum(usage.cost_usd)::double / max(periods.day_share)
    end as cost_usd
from periods
left join usage
    on usage.date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
