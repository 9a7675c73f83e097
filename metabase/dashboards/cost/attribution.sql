with

attributed as (

    select
        date_key,
        project_id,
        kind,
        name,
        call_count,
        failure_count,
        result_characters,
        response_count,
        cost_usd
    from agg_attribution
    where
        true
        [[and date_key in (select date_key from dim_date where {{date}})]]
        [[and project_id in (select project_id from dim_projects where {{project}})]]

)

select
    replace(kind, '_', ' ') as kind,
    name,
    sum(cost_usd) as cost_usd,
    sum(response_count) as response_count,
    sum(call_count) as call_count,
    sum(failure_count) as failure_count,
    sum(result_characters) as result_characters
from attributed
group by
    kind,
    name
order by
    cost_usd desc nulls last,
    call_count desc,
    kind,
    name
limit 25
