with

{{snippet: days}},

{{snippet: periods}},

operations as (

    select
        operated_date_key,
        project_id,
        count(*) filter (where operation = 'read') as read_count,
        count(*) filter (where operation <> 'read') as change_count
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
    sum(operations.read_count) / nullif(sum(operations.change_count), 0)::double as reads_per_edit
from periods
left join operations
    on operations.operated_date_key between periods.from_day and periods.to_day
group by periods.period
order by periods.period
