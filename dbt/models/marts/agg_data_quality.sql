with

source_checks as (

    select * from {{ ref('int_source_quality') }}

),

session_hours as (

    select * from {{ ref('agg_session_hours') }}

),

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

file_operations as (

    select * from {{ ref('fct_file_operations') }}

),

sessions as (

    select * from {{ ref('dim_sessions') }}

),

days as (

    select * from {{ ref('agg_daily_summary') }}

),

response_measures as (

    select
        cast(coalesce(sum(response_count), 0) as bigint) as responses,
        cast(coalesce(sum(lower_bound_response_count), 0) as bigint) as lower_bounds,
        cast(coalesce(sum(unpriced_response_count), 0) as bigint) as unpriced
    from session_hours

),

unpriced_models as (

    select
        model,
        cast(sum(unpriced_response_count) as bigint) as responses
    from session_hours
    where
        unpriced_response_count > 0
        and model is not null
    group by model

),

mart_checks as (

    select
        'responses' as check_name,
        cast(responses as double) as check_value,
        cast(responses as varchar) as check_text
    from response_measures

    union all

    select
        'lower_bound_responses',
        lower_bounds,
        lower_bounds || ' of ' || responses
    from response_measures

    union all

    select
        'unpriced_responses',
        unpriced,
        unpriced || ' of ' || responses
    from response_measures

    union all

    select
        'unpriced_models',
        count(*),
        string_agg(model || ': ' || responses, ', ' order by responses desc, model)
    from unpriced_models

    union all

    select
        'pending_tool_calls',
        count(*) filter (where status = 'pending'),
        count(*) filter (where status = 'pending') || ' of ' || count(*)
    from tool_calls

    union all

    select
        'changes_without_patch',
        count(*) filter (where lines_added is null),
        count(*) filter (where lines_added is null) || ' of ' || count(*)
    from file_operations
    where
        operation <> 'read'
        and status = 'success'

    union all

    select
        'sessions_without_responses',
        count(*) filter (where response_count = 0),
        count(*) filter (where response_count = 0) || ' of ' || count(*)
    from sessions

    union all

    select
        'days_with_activity',
        count(*) filter (where has_activity),
        cast(count(*) filter (where has_activity) as varchar)
    from days

    union all

    select
        'days_covered',
        count(*),
        min(date_key) || ' to ' || max(date_key)
    from days

    union all

    select
        'published_at',
        {{ epoch_seconds(as_of()) }},
        {{ utc_text(as_of()) }}

),

checks as (

    select * from source_checks
    union all
    select * from mart_checks

),

final as (

    select
        check_name,
        check_value,
        check_text,
        case
            when
                check_value > 0
                and check_name in (
                    'dead_letters', 'entries_without_time', 'unknown_entry_types', 'unpriced_models',
                    'unpriced_responses'
                )
                then 'warn'
            else 'ok'
        end as status,
        case check_name
            when 'documents_stored' then 'Documents in the raw layer, copies included'
            when 'entries_stored' then 'Different entries: one for each uuid, or content where there is none'
            when 'duplicate_documents' then 'Documents that are copies of another: from syncs, resumed and forked sessions'
            when 'entries_without_time' then 'User and assistant lines without a usable timestamp'
            when 'oldest_entry_at' then 'Time of the oldest entry'
            when 'newest_entry_at' then 'Time of the newest entry'
            when 'unknown_entry_types' then 'Types of entries not seen before, with the Claude Code version that wrote them'
            when 'dead_letters' then 'Lines and documents that could not be stored, with the reasons'
            when 'responses' then 'API responses'
            when 'lower_bound_responses' then 'Responses that never got their final output count: their output is at least this'
            when 'unpriced_responses' then 'Responses without a price on their day: not in any cost'
            when 'unpriced_models' then 'Models of those responses; add them to PRICING_OVERRIDES'
            when 'pending_tool_calls' then 'Tool calls without a result'
            when 'changes_without_patch' then 'Successful changes of files whose lines are unknown: in no count of lines'
            when 'sessions_without_responses' then 'Sessions in which Claude never answered'
            when 'days_with_activity' then 'Days with a message or tool call'
            when 'days_covered' then 'Days from the first to the last'
            when 'published_at' then 'When these numbers were built'
            else 'Secrets replaced before anything was stored, of this kind'
        end as description
    from checks

)

select * from final
