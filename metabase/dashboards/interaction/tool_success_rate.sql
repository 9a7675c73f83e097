with

{{snippet: days}},

{{snippet: periods}},

calls as (

    select
        called_date_key,
        project_id,
        {{macro: tool_counts}}
    from fct_tool_calls
    where
        true
        {{snippet: sessions_chosen}}
        [[and tool_name in (select tool_name from dim_tools where {{tool}})]]
    group by
        called_date_key,
        project_id

)

select
    periods.period,
    sum(calls.success_count) / nullif(sum(calls.finished_count), 0)::double as tool_success_rate
from periods
left join calls
    on calls.called_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
