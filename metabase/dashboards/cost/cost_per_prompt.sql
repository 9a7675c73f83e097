with

{{snippet: days}},

{{snippet: periods}},

usage as (

    select
        date_key,
        project_id,
        sum(cost_usd) filter (where response_count > 0) as cost_usd,
        sum(prompt_count) as prompt_count
    from agg_session_hours
    where
        true
        {{snippet: sessions_chosen}}
    group by
        date_key,
        project_id

)

select
    periods.period,
    sum(usage.cost_usd)::double / nullif(sum(usage.prompt_count), 0) as cost_per_prompt_usd
from periods
left join usage
    on usage.date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
