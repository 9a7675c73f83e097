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
        response_count,
        unpriced_response_count,
        lower_bound_response_count
    from agg_session_hours
    where
        response_count > 0
        [[and date_key in (select date_key from dim_date where {{date}})]]
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]
        [[and model in (select model from dim_models where {{model}})]]

),

grain as (

    select max(date_key) - min(date_key) + 1 as day_count
    from days

),

dated as (

    select
        case
            when grain.day_count > 400 then date_trunc('month', usage.date_key)::date
            when grain.day_count > 93 then date_trunc('week', usage.date_key)::date
            else usage.date_key
        end as period_start,
        usage.response_count,
        usage.unpriced_response_count,
        usage.lower_bound_response_count
    from usage
    cross join grain

)

select
    period_start,
    sum(lower_bound_response_count) / nullif(sum(response_count), 0)::double as lower_bound_share,
    sum(unpriced_response_count) / nullif(sum(response_count), 0)::double as unpriced_share
from dated
group by period_start
order by period_start
