with

{{snippet: days}},

{{snippet: periods}},

operations as (

    select
        operated_date_key,
        project_id,
        sum(lines_removed) as lines_removed
    from fct_file_operations
    where
        true
        and status = 'success'
        {{snippet: sessions_chosen}}
    group by
        operated_date_key,
        project_id

)

select
    periods.period,
    case when min(periods.from_day) is not null then coalesce(sum(operations.lines_removed), 0) end as lines_removed
from periods
left join operations
    on operations.operated_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
