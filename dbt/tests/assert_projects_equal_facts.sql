-- Counts, tokens and cost of every project equal its facts.
with

in_dimension as (

    select
        project_id,
        prompt_count,
        response_count,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens,
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count
    from {{ ref('dim_projects') }}
    where response_count > 0

),

in_facts as (

    select
        project_id,
        sum(message_kind in ('prompt', 'slash_command') and not is_sidechain and not is_queued) as prompt_count,
        sum(message_kind in ('response', 'advisor')) as response_count,
        sum(input_tokens) filter (where message_kind in ('response', 'advisor')) as input_tokens,
        sum(output_tokens) filter (where message_kind in ('response', 'advisor')) as output_tokens,
        sum(cache_write_5m_tokens) filter (where message_kind in ('response', 'advisor')) as cache_write_5m_tokens,
        sum(cache_write_1h_tokens) filter (where message_kind in ('response', 'advisor')) as cache_write_1h_tokens,
        sum(cache_read_tokens) filter (where message_kind in ('response', 'advisor')) as cache_read_tokens,
        sum(cost_usd) as cost_usd,
        sum(message_kind in ('response', 'advisor') and cost_usd is null) as unpriced_response_count,
        sum(message_kind in ('response', 'advisor') and output_is_lower_bound) as lower_bound_response_count
    from {{ ref('fct_messages') }}
    group by project_id
    having sum(message_kind in ('response', 'advisor')) > 0

)

{{ difference('in_dimension', 'in_facts') }}
