select distinct machine
from dim_sessions
where machine is not null
order by machine
