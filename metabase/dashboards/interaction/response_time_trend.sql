with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

responses as (

    select
        created_date_key,
        project_id,
        model,
        response_seconds::double as response_seconds
    from fct_messages
    where
        true
        and created_date_key is not null
        and message_kind = 'response'
        and not is_sidechain
        and response_seconds is not null
        [[and created_date_key in (select date_key from dim_date where {{date}})]]
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
            when grain.day_count > 400 then date_trunc('month', responses.created_date_key)::date
            when grain.day_count > 93 then date_trunc('week', responses.created_date_key)::date
            else responses.created_date_key
        end as period_start,
        responses.response_seconds
    from responses
    cross join grain

)

select
    period_start,
    median(response_seconds) as median_seconds,
    quantile_cont(response_seconds, 0.9) as p90_seconds
from dated
group by period_start
order by period_start
