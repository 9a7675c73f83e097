-- grain: how many days are chosen
grain as (

    select max(date_key) - min(date_key) + 1 as day_count
    from days

)
