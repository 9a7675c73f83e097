-- As many days as lie between the first and the last, and none with activity outside of dim_date.
select
    count(*) as days,
    date_diff('day', min(date_key), max(date_key)) + 1 as days_covered
from {{ ref('agg_daily_summary') }}
having count(*) > 0 and count(*) <> date_diff('day', min(date_key), max(date_key)) + 1
