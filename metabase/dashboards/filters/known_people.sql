select distinct person
from dim_sessions
where person is not null
order by person
