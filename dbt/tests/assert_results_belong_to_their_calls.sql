-- A call finished when a result with its own id was written: catches calls and results paired by position or order.
with

results as (

    select
        block.tool_use_id as tool_use_id,
        occurred_at
    from (
        select
            occurred_at,
            unnest(tool_blocks) as block
        from {{ ref('stg_entries') }}
        where len(tool_blocks) > 0
    )
    where block.block_type = 'tool_result'

),

calls as (

    select * from {{ ref('fct_tool_calls') }}

)

select
    calls.tool_use_id,
    calls.status,
    calls.finished_at
from calls
left join results
    on calls.tool_use_id = results.tool_use_id
    and calls.finished_at is not distinct from results.occurred_at
where
    calls.status <> 'pending'
    and results.tool_use_id is null
