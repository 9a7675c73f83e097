-- A block starts after the one before has ended, at a full hour, with a response in that hour.
select *
from (
    select
        blocks.block_key,
        blocks.started_at,
        lag(blocks.ended_at) over (order by blocks.started_at) as previous_ended_at,
        (
            select min(created_at)
            from {{ ref('fct_messages') }}
            where message_kind in ('response', 'advisor') and created_at >= blocks.started_at
        ) as first_response_at
    from {{ ref('agg_billing_blocks') }} as blocks
)
where
    started_at < previous_ended_at
    or date_trunc('hour', started_at) <> started_at
    or first_response_at >= started_at + interval 1 hour
