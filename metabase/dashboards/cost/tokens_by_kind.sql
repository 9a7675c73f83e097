with

{{snippet: days}},

{{snippet: grain}},

usage as (

    select
        date_key,
        project_id,
        model,
        input_tokens,
        output_tokens,
        cache_write_5m_tokens,
        cache_write_1h_tokens,
        cache_read_tokens
    from agg_session_hours
    where
        response_count > 0
        [[and date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
        [[and model in (select model from dim_models where {{model}})]]

),

dated as (

    select
        {{snippet: period_start usage.date_key}} as period_start,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.cache_read_tokens
    from usage
    cross join grain

),

kinds as (

    select
        period_start,
        'input' as token_kind,
        sum(input_tokens) as tokens
    from dated
    group by period_start
    union all
    select
        period_start,
        'output' as token_kind,
        sum(output_tokens) as tokens
    from dated
    group by period_start
    union all
    select
        period_start,
        'cache write, 5 min' as token_kind,
        sum(cache_write_5m_tokens) as tokens
    from dated
    group by period_start
    union all
    select
        period_start,
        'cache write, 1 h' as token_kind,
        sum(cache_write_1h_tokens) as tokens
    from dated
    group by period_start
    union all
    select
        period_start,
        'cache read' as token_kind,
        sum(cache_read_tokens) as tokens
    from dated
    group by period_start

)

select
    period_start,
    token_kind,
    tokens
from kinds
where tokens > 0
order by
    period_start,
    token_kind
