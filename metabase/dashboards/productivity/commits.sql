with

{{snippet: days}},

{{snippet: periods}},

calls as (

    select
        called_date_key,
        project_id,
        count(*) filter (where is_git_commit) as commit_count
    from fct_tool_calls
    where
        true
        and (is_git_commit or is_pull_request)
        {{snippet: sessions_chosen}}
    group by
        called_date_key,
        project_id

)

select
    periods.period,
    case when min(periods.from_day) is not null then coalesce(sum(calls.commit_count), 0) end as commit_count
from periods
left join calls
    on calls.called_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
