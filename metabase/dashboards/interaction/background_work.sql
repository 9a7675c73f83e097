with

calls as (

    select
        called_date_key,
        project_id,
        tool_name,
        case when is_background then 'in the background' else 'waited for' end as way,
        duration_ms,
        is_error
    from fct_tool_calls
    where
        tool_name in (select distinct tool_name from fct_tool_calls where is_background)
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and tool_name in (select tool_name from dim_tools where {{tool}})]]

)

select
    tool_name,
    way,
    count(*) as call_count,
    count(*) filter (where is_error) as error_count
from calls
group by
    tool_name,
    way
order by
    tool_name,
    way
limit 20
