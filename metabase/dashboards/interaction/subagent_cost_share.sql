with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

responses as (

    select
        created_date_key,
        project_id,
        model,
        sum(cost_usd) filter (where is_sidechain) as subagent_cost_usd,
        sum(cost_usd) as cost_usd
    from fct_messages
    where
        true
        and message_kind in ('response', 'advisor')
        and cost_usd is not null
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]
        [[and model in (select model from dim_models where {{model}})]]
    group by
        created_date_key,
        project_id,
        model

),

bounds as (

    select
        min(date_key) as first_day,
        max(date_key) as last_day
    from days

),

history as (

    select min(date_key) as first_day
    from dim_date

),

periods as (

    select
        bounds.first_day - 1 as period,
        -- a period that began before the history did cannot be compared with a whole one
        case
            when bounds.first_day - (bounds.last_day - bounds.first_day)::integer - 1 >= history.first_day
                then bounds.first_day - (bounds.last_day - bounds.first_day)::integer - 1
        end as from_day,
        bounds.first_day - 1 as to_day
    from bounds
    cross join history
    union all
    select
        last_day,
        first_day,
        last_day
    from bounds

)

select
    periods.period,
    coalesce(sum(responses.subagent_cost_usd), 0)::double / nullif(sum(responses.cost_usd), 0) as subagent_cost_share
from periods
left join responses
    on responses.created_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
