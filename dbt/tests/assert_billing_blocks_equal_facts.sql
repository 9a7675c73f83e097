-- Every dated response lies in exactly one block, and the blocks' numbers are those of their responses.
with

in_aggregate as (

    select
        block_key,
        started_at,
        last_response_at,
        response_count,
        session_count,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count
    from {{ ref('agg_billing_blocks') }}

),

in_facts as (

    select
        blocks.block_key,
        blocks.started_at,
        max(messages.created_at) as last_response_at,
        count(*) as response_count,
        count(distinct messages.session_id) as session_count,
        sum(messages.input_tokens) as input_tokens,
        sum(messages.output_tokens) as output_tokens,
        sum(messages.cache_write_5m_tokens) as cache_write_5m_tokens,
        sum(messages.cache_write_1h_tokens) as cache_write_1h_tokens,
        sum(messages.cache_read_tokens) as cache_read_tokens,
        sum(messages.cost_usd) as cost_usd,
        sum(messages.cost_usd is null) as unpriced_response_count,
        count(*) filter (where messages.output_is_lower_bound) as lower_bound_response_count
    from {{ ref('fct_messages') }} as messages
    left join {{ ref('agg_billing_blocks') }} as blocks
        on messages.created_at >= blocks.started_at
        and messages.created_at < blocks.ended_at
    where
        messages.message_kind in ('response', 'advisor')
        and messages.created_at is not null
    group by
        blocks.block_key,
        blocks.started_at

)

{{ difference('in_aggregate', 'in_facts') }}
