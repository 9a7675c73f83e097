with

operations as (

    select
        operated_date_key,
        project_id,
        coalesce(language, 'other') as language,
        file_path,
        count(*) filter (where operation = 'read') as read_count,
        count(*) filter (where operation <> 'read') as change_count,
        sum(lines_added) as lines_added,
        sum(lines_removed) as lines_removed
    from fct_file_operations
    where
        true
        and status = 'success'
        [[and operated_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
    group by
        operated_date_key,
        project_id,
        coalesce(language, 'other'),
        file_path

)

select
    language,
    count(distinct file_path) as file_count,
    sum(read_count) as read_count,
    sum(change_count) as change_count,
    sum(read_count) / nullif(sum(change_count), 0)::double as reads_per_edit,
    sum(lines_added) as lines_added,
    sum(lines_removed) as lines_removed
from operations
group by language
order by
    change_count desc,
    language
limit 12
