{{ config(materialized='table') }}

with paths as (

    select * from {{ ref('int_session_paths') }}

),

path_counts as (

    select
        project_id,
        cwd,
        sum(main_chain_entry_count) as main_chain_entry_count
    from paths
    group by
        project_id,
        cwd

),

-- The folder name under projects/ is lossy: the project is where its main chain worked most.
main_paths as (

    select
        project_id,
        arg_min(cwd, row(-main_chain_entry_count, cwd)) filter (where cwd is not null) as project_path
    from path_counts
    group by project_id

),

folded as (

    select
        project_id,
        project_path,
        {{ worktree_repository('project_path') }} as repository_path
    from main_paths

),

final as (

    select
        project_id,
        case
            when repository_path <> project_path
                then {{ last_folder('repository_path') }} || ' (' || {{ last_folder('project_path') }} || ')'
            else coalesce({{ last_folder('project_path') }}, project_id)
        end as project_name,
        project_path,
        coalesce(repository_path, project_id) as project_group
    from folded

)

select * from final
