with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

usage as (

    select
        date_key,
        project_id,
        model,
        cost_usd
    from agg_session_hours
    where
        response_count > 0
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]
        [[and model in (select model from dim_models where {{model}})]]

),

bounds as (

    select
        min(date_key) as first_day,
        max(date_key) as last_day
    from days

),

history as (

    select min(date_key) as first_day
    from dim_date

),

periods as (

    select
        bounds.first_day - 1 as period,
        -- a period that began before the history did cannot be compared with a whole one
        case
            when bounds.first_day - (bounds.last_day - bounds.first_day)::integer - 1 >= history.first_day
                then bounds.first_day - (bounds.last_day - bounds.first_day)::integer - 1
        end as from_day,
        bounds.first_day - 1 as to_day
    from bounds
    cross join history
    union all
    select
        last_day,
        first_day,
        last_day
    from bounds

)

select
    periods.period,
    -- nothing was spent where nothing was asked; what responses without a price cost stays unknown
    case
        when min(periods.from_day) is not null and count(usage.date_key) = 0 then 0
        else sum(usage.cost_usd)
    end as cost_usd
from periods
left join usage
    on usage.date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
