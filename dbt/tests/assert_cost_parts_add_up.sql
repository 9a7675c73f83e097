-- What the kinds of tokens cost is the whole cost, but for web searches and what was rounded.
select *
from {{ ref('fct_messages') }}
where
    (cost_usd is null) <> (
        input_cost_usd is null
        or output_cost_usd is null
        or cache_write_cost_usd is null
        or cache_read_cost_usd is null
    )
    or abs(cost_usd - (input_cost_usd + output_cost_usd + cache_write_cost_usd + cache_read_cost_usd))
    > 0.000000003 + case when web_search_requests > 0 then cost_usd else 0 end
