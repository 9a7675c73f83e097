with

calls as (

    select
        called_date_key,
        project_id,
        command_program,
        count(*) as call_count,
        count(*) filter (where status = 'error') as error_count
    from fct_tool_calls
    where
        true
        and command_program is not null
        and status <> 'pending'
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and tool_name in (select tool_name from dim_tools where {{tool}})]]
    group by
        called_date_key,
        project_id,
        command_program

)

select
    command_program,
    sum(error_count) as error_count,
    sum(call_count) as call_count,
    sum(error_count) / sum(call_count)::double as error_rate
from calls
group by command_program
having sum(error_count) > 0
order by
    error_count desc,
    call_count desc,
    command_program
limit 12
