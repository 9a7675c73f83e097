select distinct tool_name
from dim_tools
where tool_name is not null
order by tool_name
