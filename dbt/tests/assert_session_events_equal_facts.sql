-- Compactions and the time of hooks: what a session says is the sum of its facts.
with

compactions as (

    select
        session_id,
        count(*) as compactions
    from {{ ref('fct_compactions') }}
    group by session_id

),

errors as (

    select
        session_id,
        count(*) as final_errors
    from {{ ref('fct_api_errors') }}
    where is_final
    group by session_id

),

messages as (

    select
        session_id,
        count(*) as final_errors
    from {{ ref('fct_messages') }}
    where message_kind = 'api_error'
    group by session_id

),

hooks as (

    select
        project_id,
        cast(sum(total_duration_ms) as decimal(18, 3)) / 1000 as hook_seconds
    from {{ ref('agg_hooks') }}
    group by project_id

),

sessions as (

    select
        project_id,
        sum(hook_seconds) as hook_seconds
    from {{ ref('dim_sessions') }}
    group by project_id

)

select
    'compactions' as what,
    dim_sessions.session_id as id
from {{ ref('dim_sessions') }} as dim_sessions
left join compactions
    on dim_sessions.session_id = compactions.session_id
where dim_sessions.compactions <> coalesce(compactions.compactions, 0)
union all
select
    'api errors',
    coalesce(errors.session_id, messages.session_id)
from errors
full outer join messages
    on errors.session_id = messages.session_id
where coalesce(errors.final_errors, 0) <> coalesce(messages.final_errors, 0)
union all
select
    'hooks',
    coalesce(hooks.project_id, sessions.project_id)
from hooks
full outer join sessions
    on hooks.project_id = sessions.project_id
where hooks.hook_seconds is distinct from sessions.hook_seconds
