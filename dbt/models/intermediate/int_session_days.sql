{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with entries as (

    select * from {{ ref('int_entries') }}
    where is_standing

),

-- what was opened and left again without a word is no session
sessions as (

    select distinct session_id
    from entries
    where entry_type in ('user', 'assistant')

),

main_chain as (

    select
        session_id,
        occurred_at,
        lag(occurred_at) over (
            partition by session_id
            order by occurred_at
        ) as previous_at
    from entries
    where
        not is_sidechain
        and session_id in (select session_id from sessions)
        and occurred_at is not null

),

-- A gap counts as work up to five minutes; it belongs to the day on which it began.
gaps as (

    select
        session_id,
        {{ local_date('coalesce(previous_at, occurred_at)') }} as date_key,
        case
            when epoch_ms(occurred_at) - epoch_ms(previous_at) <= 300000
                then epoch_ms(occurred_at) - epoch_ms(previous_at)
            else 0
        end as active_ms
    from main_chain

),

final as (

    select
        {{ surrogate_key(['session_id', 'date_key']) }} as session_day_key,
        session_id,
        date_key,
        {{ exact_seconds('sum(coalesce(active_ms, 0))') }} as active_seconds
    from gaps
    group by
        session_id,
        date_key

)

select * from final
where {{ touched_sessions_filter() }}
