with

failures as (

    select
        failed_date_key,
        project_id,
        coalesce(error_status, 'not said') as error_status,
        coalesce(error_name, 'not said') as error_name,
        is_final,
        session_id
    from fct_api_errors
    where
        true
        [[and failed_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

)

select
    error_status,
    error_name,
    count(*) as failure_count,
    count(*) filter (where is_final) as final_count,
    count(distinct session_id) as session_count,
    max(failed_date_key) as last_failed_on
from failures
group by
    error_status,
    error_name
order by
    failure_count desc,
    error_status,
    error_name
limit 15
