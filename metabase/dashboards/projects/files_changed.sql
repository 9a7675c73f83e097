with

operations as (

    select
        fct_file_operations.operated_date_key,
        fct_file_operations.project_id,
        dim_projects.project_name,
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
    group by
        fct_file_operations.operated_date_key,
        fct_file_operations.project_id,
        dim_projects.project_name,
        file_name,
        fct_file_operations.session_id

)

select
    file_name,
    project_name,
    sum(change_count) as change_count,
    count(distinct session_id) as session_count,
    sum(lines_added) as lines_added,
    sum(lines_removed) as lines_removed
from operations
group by
    project_id,
    project_name,
    file_name
order by
    change_count desc,
    file_name
limit 15
