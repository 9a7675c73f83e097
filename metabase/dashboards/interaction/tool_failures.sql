with

calls as (

    select
        tool_name,
        status
    from fct_tool_calls
    where
        status <> 'pending'
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and tool_name in (select tool_name from dim_tools where {{tool}})]]

)

select
    tool_name,
    count(*) filter (where status = 'error') as error_count,
    count(*) as call_count,
    count(*) filter (where status = 'error') / count(*)::double as error_rate
from calls
group by tool_name
having count(*) filter (where status = 'error') > 0
order by
    error_count desc,
    call_count desc,
    tool_name
limit 12
