with

sessions as (

    select
        started_date_key,
        project_id,
        coalesce(claude_version, 'unknown') as claude_version,
        response_count,
        lower_bound_response_count,
        cost_usd
    from dim_sessions
    where
        true
        [[and started_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

)

select
    claude_version,
    count(*) as session_count,
    sum(response_count) as response_count,
    sum(lower_bound_response_count) / nullif(sum(response_count), 0)::double as lower_bound_share,
    sum(cost_usd) as cost_usd
from sessions
group by claude_version
order by
    lower_bound_share desc,
    response_count desc,
    claude_version
limit 10
