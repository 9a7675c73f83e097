-- compared_months: the month of the newest day, and the one before
months as (

    select
        min(date_key) as history_start,
        max(date_key) as through_day,
        date_trunc('month', max(date_key))::date as month_start
    from dim_date

),

compared_months as (

    select
        history_start,
        through_day,
        month_start,
        date_trunc('month', month_start - 1)::date as previous_start
    from months

)
