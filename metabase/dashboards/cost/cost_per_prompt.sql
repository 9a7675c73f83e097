with

days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

usage as (

    select
        date_key,
        project_id,
        sum(cost_usd) as cost_usd
    from agg_session_hours
    where
        response_count > 0
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]
    group by
        date_key,
        project_id

),

prompts as (

    select
        created_date_key,
        project_id,
        count(*) as prompt_count
    from fct_messages
    where
        true
        and message_kind in ('prompt', 'slash_command')
        and not is_sidechain
        and not is_queued
        [[and project_id in (select project_id from dim_projects where {{project}})]]
        [[and session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and session_id in (select session_id from dim_sessions where {{person}})]]
    group by
        created_date_key,
        project_id

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

),

costs as (

    select
        periods.period,
        sum(usage.cost_usd) as cost_usd
    from periods
    left join usage
        on usage.date_key between periods.from_day and periods.to_day
    group by periods.period

),

asked as (

    select
        periods.period,
        sum(prompts.prompt_count) as prompt_count
    from periods
    left join prompts
        on prompts.created_date_key between periods.from_day and periods.to_day
    group by periods.period

)

select
    costs.period,
    costs.cost_usd::double / nullif(asked.prompt_count, 0) as cost_per_prompt_usd
from costs
inner join asked
    on costs.period = asked.period
order by costs.period
