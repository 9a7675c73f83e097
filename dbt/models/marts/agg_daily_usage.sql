with

messages as (

    select * from {{ ref('fct_messages') }}

),

by_day_project_model as (

    select
        created_date_key as date_key,
        project_id,
        model,
        {{ response_measures() }}
    from messages
    where
        message_kind = 'response'
        and created_date_key is not null
    group by
        created_date_key,
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
        cost_usd,
        unpriced_response_count,
        lower_bound_response_count,
        {{ cache_hit_rate() }} as cache_hit_rate
    from by_day_project_model

)

select * from final
