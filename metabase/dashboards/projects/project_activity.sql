with

{{snippet: days}},

{{snippet: grain}},

sessions as (

    select
        started_date_key,
        project_id,
        active_seconds
    from dim_sessions
    where
        true
        and started_date_key is not null
        [[and started_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

),

names as (

    select
        project_id,
        project_label
    from dim_projects

),

ranked as (

    select
        sessions.project_id,
        row_number() over (
            order by
                sum(sessions.active_seconds) desc,
                sessions.project_id
        ) as place
    from sessions
    group by sessions.project_id

),

dated as (

    select
        {{snippet: period_start sessions.started_date_key}} as period_start,
        case when ranked.place <= 8 then names.project_label else 'all others' end as project_label,
        sessions.active_seconds
    from sessions
    cross join grain
    inner join ranked
        on sessions.project_id = ranked.project_id
    inner join names
        on sessions.project_id = names.project_id

)

select
    period_start,
    project_label,
    sum(active_seconds) / 3600.0 as active_hours
from dated
group by
    period_start,
    project_label
order by
    period_start,
    project_label
