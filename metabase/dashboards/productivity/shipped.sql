with

{{snippet: days}},

{{snippet: grain}},

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
        {{snippet: sessions_chosen}}
    group by
        called_date_key,
        project_id

),

dated as (

    select
        {{snippet: period_start calls.called_date_key}} as period_start,
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
