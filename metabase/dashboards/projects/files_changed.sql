with

operations as (

    select
        fct_file_operations.operated_date_key,
        fct_file_operations.project_id,
        -- inside its project a file is called by its path there
        case
            when starts_with(fct_file_operations.file_path, dim_projects.project_path || '/')
                then substr(fct_file_operations.file_path, length(dim_projects.project_path) + 2)
            else fct_file_operations.file_path
        end as file_name,
        fct_file_operations.session_id,
        count(*) as change_count,
        sum(fct_file_operations.lines_added) as lines_added,
        sum(fct_file_operations.lines_removed) as lines_removed
    from fct_file_operations
    left join dim_projects
        on fct_file_operations.project_id = dim_projects.project_id
    where
        fct_file_operations.status = 'success'
        and fct_file_operations.operation <> 'read'
        [[and fct_file_operations.operated_date_key in (select date_key from dim_date where {{date}})]]
        [[and fct_file_operations.project_id in (select project_id from dim_projects where {{project}})]]
        [[and fct_file_operations.session_id in (select session_id from dim_sessions where {{machine}})]]
    group by
        fct_file_operations.operated_date_key,
        fct_file_operations.project_id,
        file_name,
        fct_file_operations.session_id

),

names as (

    select
        project_id,
        project_label
    from dim_projects

)

select
    operations.file_name,
    names.project_label,
    sum(operations.change_count) as change_count,
    count(distinct operations.session_id) as session_count,
    sum(operations.lines_added) as lines_added,
    sum(operations.lines_removed) as lines_removed
from operations
left join names
    on operations.project_id = names.project_id
group by
    operations.project_id,
    names.project_label,
    operations.file_name
order by
    change_count desc,
    operations.file_name,
    operations.project_id
limit 15
