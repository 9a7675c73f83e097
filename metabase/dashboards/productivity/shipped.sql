with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

calls as (

    select
        called_date_key,
        project_id,
        count(*) filter (where is_git_commit) as commit_count,
        count(*) filter (where is_pull_request) as pull_request_count
    from fct_tool_calls
    where
        true
        and called_date_key is not null
        and (is_git_commit or is_pull_request)
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]
    group by
        called_date_key,
        project_id

),

grain as (

    select max(date_key) - min(date_key) + 1 as day_count
    from days

),

dated as (

    select
        case
            when grain.day_count > 400 then date_trunc('month', calls.called_date_key)::date
            when grain.day_count > 93 then date_trunc('week', calls.called_date_key)::date
            else calls.called_date_key
        end as period_start,
        calls.commit_count,
        calls.pull_request_count
    from calls
    cross join grain

)

select
    period_start,
    sum(commit_count) as commit_count,
    sum(pull_request_count) as pull_request_count
from dated
group by period_start
order by period_start
