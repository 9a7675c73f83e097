with

{{snippet: days}},

{{snippet: grain}},

sessions as (

    select
        started_date_key,
        project_id,
        case when is_automated then 'automated (SDK, -p)' else 'interactive' end as session_kind
    from dim_sessions
    where
        true
        and started_date_key is not null
        [[and started_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

),

dated as (

    select
        {{snippet: period_start sessions.started_date_key}} as period_start,
        sessions.session_kind
    from sessions
    cross join grain

)

select
    period_start,
    session_kind,
    count(*) as session_count
from dated
group by
    period_start,
    session_kind
order by
    period_start,
    session_kind
