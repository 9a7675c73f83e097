-- days: the chosen ones
days as (

    select date_key
    from dim_date
    where
        true
        [[and {{date}}]]

)
