with

usage as (

    select
        date_key,
        project_id,
        model,
        cost_usd
    from agg_session_hours
    where
        response_count > 0
        [[and date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

),

names as (

    select
        project_id,
        project_label
    from dim_projects

)

select
    names.project_label,
    sum(usage.cost_usd) as cost_usd
from usage
inner join names
    on usage.project_id = names.project_id
where usage.cost_usd is not null
group by names.project_label
order by
    cost_usd desc,
    project_label
limit 12
