{{ config(materialized='table') }}

with paths as (

    select * from {{ ref('int_session_paths') }}

),

aliases as (

    select * from {{ ref('stg_project_aliases') }}

),

path_counts as (

    select
        project_id,
        {{ normalized_path('cwd') }} as cwd,
        sum(main_chain_entry_count) as main_chain_entry_count
    from paths
    group by all

),

-- The folder name under projects/ is lossy: the project is where its main chain worked most.
main_paths as (

    select
        project_id,
        arg_min(cwd, row(-main_chain_entry_count, cwd)) filter (where cwd is not null) as project_path
    from path_counts
    group by project_id

),

layouts as (

    select
        project_id,
        project_path,
        {{ worktree_repository_name('project_path') }} as repository_name,
        case
            when {{ worktree_repository_name('project_path') }} is not null
                then regexp_replace(project_path, '[/\\]\.claude[/\\]worktrees[/\\].*$', '')
            else {{ worktree_repository('project_path') }}
        end as layout_path
    from main_paths

),

-- What was moved or renamed goes where the longest alias that it lies under says.
aliased as (

    select
        layouts.project_id,
        arg_max(
            case
                when aliases.is_name then aliases.project
                else aliases.project || substr(layouts.layout_path, length(aliases.path) + 1)
            end,
            length(aliases.path)
        ) as alias_path
    from layouts
    inner join aliases
        on layouts.project_id = aliases.path
        or layouts.layout_path = aliases.path
        or starts_with(layouts.layout_path, aliases.path || '/')
        or starts_with(layouts.layout_path, aliases.path || '\')
    group by layouts.project_id

),

repositories as (

    select
        layouts.project_id,
        layouts.project_path,
        coalesce(aliased.alias_path, layouts.layout_path) as repository_path,
        case when aliased.project_id is null then layouts.repository_name end as repository_name
    from layouts
    left join aliased
        on layouts.project_id = aliased.project_id

),

-- A layout that gives only a name is of the one project that has it; where two have it nobody knows.
known_names as (

    select
        {{ last_folder('repository_path') }} as repository_name,
        min(repository_path) as repository_path
    from repositories
    where repository_name is null
    group by 1
    having count(distinct repository_path) = 1

),

folded as (

    select
        repositories.project_id,
        repositories.project_path,
        coalesce(known_names.repository_path, repositories.repository_path) as repository_path
    from repositories
    left join known_names
        on repositories.repository_name = known_names.repository_name

),

-- Every ending of every path; a project without a path is known by its id.
path_parts as (

    select
        project_id,
        coalesce(project_path, project_id) as shown_path,
        list_filter(
            string_split(replace(coalesce(project_path, project_id), '\', '/'), '/'),
            lambda part: part <> ''
        ) as parts
    from folded

),

endings as (

    select
        project_id,
        shown_path,
        part_count,
        array_to_string(list_slice(parts, len(parts) - part_count + 1, len(parts)), '/') as ending
    from (
        select
            *,
            unnest(generate_series(1, len(parts))) as part_count
        from path_parts
    )

),

unique_endings as (

    select lower(ending) as ending
    from endings
    group by 1
    having count(distinct shown_path) = 1

),

labels as (

    select
        project_id,
        arg_min(ending, part_count) as ending
    from endings
    where lower(ending) in (select ending from unique_endings)
    group by project_id

),

labelled as (

    select
        folded.*,
        coalesce(labels.ending, folded.project_path, folded.project_id) as ending,
        row_number() over (
            partition by coalesce(labels.ending, folded.project_path, folded.project_id)
            order by folded.project_id
        ) as position
    from folded
    left join labels
        on folded.project_id = labels.project_id

),

final as (

    select
        project_id,
        case
            when {{ last_folder('repository_path') }} <> {{ last_folder('project_path') }}
                then {{ last_folder('repository_path') }} || ' (' || {{ last_folder('project_path') }} || ')'
            else coalesce({{ last_folder('project_path') }}, project_id)
        end as project_name,
        -- folders of one path: only their ids tell them apart
        case when position = 1 then ending else ending || ' [' || project_id || ']' end as project_label,
        project_path,
        coalesce(repository_path, project_id) as project_group
    from labelled

)

select * from final
