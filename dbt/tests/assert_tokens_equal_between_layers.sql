-- Each response's tokens and final-count flag, recomputed from every copy of every line in staging: the line with the
-- largest total counts, once. Left out are ids that a proxy gives to every response: they are none. Catches de-duplication
-- gone missing and usage taken from the first line.
with

responses as (

    select
        *,
        message_key <> coalesce(message_id, message_key) as has_shared_id
    from {{ ref('fct_messages') }}
    where message_kind = 'response'

),

lines as (

    select
        response_key,
        stop_reason,
        input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as tokens
    from {{ ref('stg_entries') }}
    where
        entry_type = 'assistant'
        and has_message
        and model is distinct from '<synthetic>'
        and response_key not in (select message_id from responses where has_shared_id)

),

in_staging as (

    select
        response_key,
        max(tokens) as tokens,
        count(stop_reason) = 0 as output_is_lower_bound
    from lines
    group by response_key

),

in_facts as (

    select
        message_key as response_key,
        input_tokens + output_tokens + cache_write_5m_tokens + cache_write_1h_tokens + cache_read_tokens as tokens,
        output_is_lower_bound
    from responses
    where not has_shared_id

)

{{ difference('in_staging', 'in_facts') }}
