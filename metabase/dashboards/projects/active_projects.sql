with

{{snippet: days}},

{{snippet: periods}},

sessions as (

    select
        started_date_key,
        project_id
    from dim_sessions
    where
        true
        {{snippet: sessions_chosen}}

)

select
    periods.period,
    case when min(periods.from_day) is not null then count(distinct sessions.project_id) end as project_count
from periods
left join sessions
    on sessions.started_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
