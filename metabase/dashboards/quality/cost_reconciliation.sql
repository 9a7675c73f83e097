with

compared as (

    select
        session_id,
        project_id,
        stated_at,
        our_cost_usd,
        claude_code_cost_usd,
        difference_usd,
        is_within_1_percent,
        known_cause
    from agg_cost_reconciliation

)

select
    compared.session_id,
    left(coalesce(dim_sessions.title, compared.session_id), 80) as title,
    compared.stated_at,
    compared.our_cost_usd,
    compared.claude_code_cost_usd,
    compared.difference_usd,
    case when compared.is_within_1_percent then 'agrees' else coalesce(compared.known_cause, 'not known') end as cause
from compared
left join dim_sessions
    on compared.session_id = dim_sessions.session_id
order by
    compared.is_within_1_percent,
    abs(compared.difference_usd) desc nulls first,
    compared.session_id
limit 20
