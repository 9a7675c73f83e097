with

{{snippet: days}},

{{snippet: periods}},

sessions as (

    select
        started_date_key,
        project_id,
        prompt_count
    from dim_sessions
    where
        true
        and not is_automated
        {{snippet: sessions_chosen}}

)

select
    periods.period,
    avg(sessions.prompt_count) as prompts_per_session
from periods
left join sessions
    on sessions.started_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
