with

sessions as (

    select
        started_date_key,
        project_id,
        prompt_count,
        active_seconds,
        compactions,
        cost_usd
    from dim_sessions
    where
        true
        and not is_automated
        [[and started_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

),

sized as (

    select
        case
            when prompt_count = 0 then '0'
            when prompt_count = 1 then '1'
            when prompt_count <= 5 then '2 to 5'
            when prompt_count <= 10 then '6 to 10'
            when prompt_count <= 20 then '11 to 20'
            when prompt_count <= 50 then '21 to 50'
            else 'over 50'
        end as prompts,
        prompt_count,
        active_seconds,
        compactions,
        cost_usd
    from sessions

)

select
    prompts,
    count(*) as session_count,
    sum(cost_usd) as cost_usd,
    sum(cost_usd)::double / nullif(sum(case when cost_usd is not null then prompt_count end), 0) as cost_per_prompt_usd,
    avg(active_seconds) as active_seconds,
    avg(compactions) as compactions
from sized
group by prompts
order by min(prompt_count)
