with

checks as (

    select
        check_name,
        coalesce(check_text, regexp_replace(cast(check_value as varchar), '\.0$', ''), 'none') as found,
        status,
        description
    from agg_data_quality

)

select
    status,
    check_name,
    found,
    description
from checks
order by
    status desc,
    check_name
