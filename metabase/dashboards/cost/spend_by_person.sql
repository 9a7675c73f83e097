with

usage as (

    select
        agg_session_hours.date_key,
        agg_session_hours.project_id,
        agg_session_hours.model,
        dim_sessions.person,
        agg_session_hours.session_id,
        sum(agg_session_hours.prompt_count) as prompt_count,
        sum(agg_session_hours.cost_usd) as cost_usd
    from agg_session_hours
    inner join dim_sessions
        on agg_session_hours.session_id = dim_sessions.session_id
    where
        true
        [[and agg_session_hours.date_key in (select date_key from dim_date where {{date}})]]
        [[and agg_session_hours.project_id in (select project_id from dim_projects where {{project}})]]
        [[and agg_session_hours.session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and agg_session_hours.session_id in (select session_id from dim_sessions where {{person}})]]
    group by
        agg_session_hours.date_key,
        agg_session_hours.project_id,
        agg_session_hours.model,
        dim_sessions.person,
        agg_session_hours.session_id

)

select
    coalesce(person, 'not known') as person,
    count(distinct session_id) as session_count,
    sum(prompt_count) as prompt_count,
    sum(cost_usd) as cost_usd
from usage
group by coalesce(person, 'not known')
order by
    cost_usd desc nulls last,
    person
limit 15
