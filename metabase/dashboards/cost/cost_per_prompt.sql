with

{{snippet: days}},

{{snippet: periods}},

usage as (

    select
        date_key,
        project_id,
        sum(cost_usd) as cost_usd
    from agg_session_hours
    where
        response_count > 0
        {{snippet: sessions_chosen}}
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
        {{snippet: sessions_chosen}}
    group by
        created_date_key,
        project_id

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
