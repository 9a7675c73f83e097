with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

operations as (

    select
        operated_date_key,
        project_id,
        sum(lines_added) as lines_added
    from fct_file_operations
    where
        true
        and status = 'success'
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]
    group by
        operated_date_key,
        project_id

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
    case when min(periods.from_day) is not null then coalesce(sum(operations.lines_added), 0) end as lines_added
from periods
left join operations
    on operations.operated_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
