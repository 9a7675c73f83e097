{#
    Some proxies give one message id to every response. Lines of one response have the same input side, and the same
    request: where neither holds within one session, the id says nothing, in no session.
#}
{{ config(materialized='table') }}

with lines as (

    select
        response_key,
        session_id,
        row(input_tokens, cache_write_5m_tokens, cache_write_1h_tokens, cache_read_tokens) as input_side,
        request_id,
        array_to_string([b.tool_use_id for b in tool_blocks if b.block_type = 'tool_use'], ' ') as calls,
        model
    from {{ ref('int_related_entries') }}
    where
        entry_type = 'assistant'
        and message_id is not null
        and {{ context_tokens() }} > 0

),

-- few ids have more than one input side: only those are looked at again
varied as (

    select response_key
    from lines
    group by response_key
    having min(input_side) is distinct from max(input_side)

),

final as (

    select distinct response_key
    from lines
    where
        response_key in (select response_key from varied)
        and model is distinct from '<synthetic>'
    group by
        response_key,
        session_id
    having
        min(input_side) is distinct from max(input_side)
        and (
            count(distinct request_id) > 1
            or (count(request_id) < count(*) and count(distinct nullif(calls, '')) > 1)
        )

)

select * from final
