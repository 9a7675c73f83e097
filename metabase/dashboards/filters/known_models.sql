select distinct model
from dim_models
order by model
