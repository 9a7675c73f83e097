select distinct project_path
from dim_projects
where project_path is not null
order by project_path
