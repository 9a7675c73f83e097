with

{{snippet: days}},

{{snippet: periods}},

usage as (

    select
        date_key,
        project_id,
        model,
        cost_usd
    from agg_session_hours
    where
        response_count > 0
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

)

select
    periods.period,
    -- nothing was spent where nothing was asked; what responses without a price cost stays unknown
    case
        when min(periods.from_day) is not null and count(usage.date_key) = 0 then 0
        else sum(usage.cost_usd)
    end as cost_usd
from periods
left join usage
    on usage.date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
