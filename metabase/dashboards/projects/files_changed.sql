with

operations as (

    select
        project_id,
        file_path,
        count(*) as change_count,
        count(distinct session_id) as session_count,
        sum(lines_added) as lines_added,
        sum(lines_removed) as lines_removed
    from fct_file_operations
    where
        status = 'success'
        and operation <> 'read'
        [[and operated_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
    group by
        project_id,
        file_path

),

names as (

    select
        project_id,
        project_path,
        project_label
    from dim_projects

)

select
    -- inside its project a file is called by its path there
    case
        when starts_with(operations.file_path, names.project_path || '/')
            then substr(operations.file_path, length(names.project_path) + 2)
        else operations.file_path
    end as file_name,
    names.project_label,
    operations.change_count,
    operations.session_count,
    operations.lines_added,
    operations.lines_removed
from operations
left join names
    on operations.project_id = names.project_id
order by
    operations.change_count desc,
    file_name,
    operations.project_id
limit 15
