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
        input_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens
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
        usage.cache_read_tokens,
        usage.input_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens + usage.cache_read_tokens as context_tokens
    from usage
    cross join grain

)

select
    period_start,
    sum(cache_read_tokens) / nullif(sum(context_tokens), 0)::double as cache_hit_rate
from dated
group by period_start
order by period_start
