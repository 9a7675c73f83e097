with

session_hours as (

    select * from {{ ref('agg_session_hours') }}

),

by_day_project_model as (

    select
        date_key,
        project_id,
        model,
        {{ summed_response_measures() }}
    from session_hours
    where
        response_count > 0
        and date_key is not null
    group by
        date_key,
        project_id,
        model

),

final as (

    select
        {{ surrogate_key(['date_key', 'project_id', 'model']) }} as usage_key,
        date_key,
        project_id,
        model,
        response_count,
        {%- for tokens in token_columns() %}
        {{ tokens }},
        {%- endfor %}
        context_tokens,
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count,
        {{ rate('cache_read_tokens', 'context_tokens') }} as cache_hit_rate
    from by_day_project_model

)

select * from final
