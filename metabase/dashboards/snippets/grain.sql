-- days: the chosen ones; grain: how many they are
days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

),

grain as (

    select max(date_key) - min(date_key) + 1 as day_count
    from days

)
