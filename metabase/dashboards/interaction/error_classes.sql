with

errors as (

    select
        called_date_key,
        project_id,
        coalesce(error_class, 'other') as error_class,
        count(*) as error_count
    from fct_tool_calls
    where
        true
        and status in ('error', 'rejected')
        [[and called_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and tool_name in (select tool_name from dim_tools where {{tool}})]]
    group by
        called_date_key,
        project_id,
        coalesce(error_class, 'other')

)

select
    error_class,
    sum(error_count) as error_count
from errors
group by error_class
order by
    error_count desc,
    error_class
limit 12
