{{
    config(
        materialized='incremental',
        incremental_strategy='touched_sessions',
    )
}}

with copies as (

    select * from {{ ref('int_entries') }}

),

entries as (

    select * from copies
    where is_standing

),

summaries as (

    select * from {{ ref('int_summaries') }}

),

entry_measures as (

    select
        session_id,
        min(occurred_at) as started_at,
        max(occurred_at) as ended_at,
        count(*) as entry_count,
        count(*) filter (where entry_type = 'user') as user_entry_count,
        count(*) filter (where entry_type = 'assistant') as assistant_entry_count,
        arg_max(version, row(occurred_at, version)) filter (where version is not null and occurred_at is not null)
            as claude_version,
        arg_max(git_branch, row(occurred_at, git_branch))
            filter (where nullif(git_branch, '') is not null and occurred_at is not null and not is_sidechain)
            as git_branch,
        min(machine) as machine,
        arg_min(entrypoint, row(occurred_at, entrypoint))
            filter (where entrypoint is not null and occurred_at is not null)
            as entrypoint,
        -- Claude Code marks where it compacted; where that line is missing, the summary tells
        greatest(
            count(*) filter (where system_subtype = 'compact_boundary'),
            count(*) filter (where is_compact_summary)
        ) as compactions,
        -- Claude Code's own times: of a turn, and of what its hooks ran
        {{ exact_seconds("sum(case when system_subtype = 'turn_duration' then duration_ms end)") }} as turn_seconds,
        {{ exact_seconds("sum(list_sum([h.duration_ms for h in hooks if h.is_run]))") }} as hook_seconds,
        count(distinct pull_request_url) as pull_request_links,
        coalesce(bool_or(is_resume_hook), false) as is_resume_hook,
        coalesce(bool_or(starts_with(entrypoint, 'sdk') or prompt_source = 'sdk'), false) as is_automated
    from entries
    group by session_id
    having count(*) filter (where entry_type in ('user', 'assistant')) > 0

),

-- A session that carries on another one stands behind it in one transcript, or a hook says so.
transcript_sessions as (

    select
        source_file,
        session_id,
        min(occurred_at) as started_at
    from copies
    where
        occurred_at is not null
        and {{ is_main_transcript('source_file') }}
    group by
        source_file,
        session_id

),

transcripts as (

    select
        session_id,
        bool_or(position > 1) as is_behind_another
    from (
        select
            session_id,
            row_number() over (
                partition by source_file
                order by started_at, session_id
            ) as position
        from transcript_sessions
    )
    group by session_id

),

-- A fork says of what it copied where that comes from.
forks as (

    select
        session_id,
        arg_min(forked_from_session_id, row(occurred_at, forked_from_session_id))
            filter (where forked_from_session_id is not null and occurred_at is not null) as forked_from_session_id
    from copies
    where is_forked
    group by session_id

),

-- a session belongs to the project most of its main chain stands in
project_counts as (

    select
        session_id,
        project_id,
        sum(main_chain_entry_count) as main_chain_entry_count,
        sum(entry_count) as entry_count
    from {{ ref('int_session_paths') }}
    where {{ touched_sessions_filter() }}
    group by
        session_id,
        project_id

),

session_projects as (

    select
        session_id,
        arg_min(project_id, row(-main_chain_entry_count, -entry_count, project_id)) as project_id
    from project_counts
    group by session_id

),

people as (

    select * from {{ ref('stg_people') }}

),

session_homes as (

    select
        session_id,
        arg_min(
            {{ home_folder('cwd') }},
            row(-main_chain_entry_count, -entry_count, cwd)
        ) filter (where {{ home_folder('cwd') }} is not null) as home
    from {{ ref('int_session_paths') }}
    where {{ touched_sessions_filter() }}
    group by session_id

),

-- A title given by the user wins, then one by Claude, then a summary; of several the one that stands most often.
titles as (

    select
        session_id,
        title,
        title_rank
    from copies
    where
        title is not null
        and leaf_uuid is null
    union all
    select
        entries.session_id,
        summaries.title,
        summaries.title_rank
    from summaries
    inner join entries
        on summaries.leaf_uuid = entries.uuid

),

title_counts as (

    select
        session_id,
        title,
        title_rank,
        count(*) as occurrence_count
    from titles
    group by
        session_id,
        title,
        title_rank

),

session_titles as (

    select
        session_id,
        arg_min(title, row(title_rank, -occurrence_count, title)) as title
    from title_counts
    group by session_id

),

first_prompts as (

    select
        session_id,
        arg_min(
            nullif(trim(regexp_extract(trim(text_head, e' \n\r\t'), '^[^\n\r]*')), ''),
            row(occurred_at, entry_key)
        ) as first_line
    from entries
    where
        entry_type = 'user'
        and not is_sidechain
        and not is_meta
        and not is_compact_summary
        and not has_tool_result
        and coalesce(origin_kind, 'human') = 'human'
        and prompt_source is distinct from 'system'
        and occurred_at is not null
        and text_head is not null
        and not starts_with(text_head, '[Request interrupted')
        and not regexp_matches(text_head, '^\s*<')
        and {{ author_of_text('text_head') }} is null
    group by session_id

),

active as (

    select
        session_id,
        cast(sum(active_seconds) as decimal(18, 3)) as active_seconds
    from {{ ref('int_session_days') }}
    where {{ touched_sessions_filter() }}
    group by session_id

),

final as (

    select
        entry_measures.session_id,
        session_projects.project_id,
        coalesce(session_titles.title, first_prompts.first_line) as title,
        entry_measures.started_at,
        entry_measures.ended_at,
        coalesce(active.active_seconds, cast(0 as decimal(18, 3))) as active_seconds,
        entry_measures.entry_count,
        entry_measures.user_entry_count,
        entry_measures.assistant_entry_count,
        entry_measures.claude_version,
        entry_measures.git_branch,
        entry_measures.machine,
        entry_measures.entrypoint,
        entry_measures.compactions,
        entry_measures.turn_seconds,
        entry_measures.hook_seconds,
        entry_measures.pull_request_links,
        coalesce(
            by_home.person,
            by_machine.person,
            {{ last_folder('session_homes.home') }},
            entry_measures.machine
        ) as person,
        forks.session_id is not null as is_forked,
        forks.forked_from_session_id,
        entry_measures.is_resume_hook or coalesce(transcripts.is_behind_another, false) as is_resumed,
        entry_measures.is_automated
    from entry_measures
    left join session_projects
        on entry_measures.session_id = session_projects.session_id
    left join session_titles
        on entry_measures.session_id = session_titles.session_id
    left join first_prompts
        on entry_measures.session_id = first_prompts.session_id
    left join active
        on entry_measures.session_id = active.session_id
    left join transcripts
        on entry_measures.session_id = transcripts.session_id
    left join forks
        on entry_measures.session_id = forks.session_id
    left join session_homes
        on entry_measures.session_id = session_homes.session_id
    left join people as by_home
        on session_homes.home = by_home.place
    left join people as by_machine
        on entry_measures.machine = by_machine.place

)

select * from final
where {{ touched_sessions_filter() }}
