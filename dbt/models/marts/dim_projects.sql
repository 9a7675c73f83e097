with

projects as (

    select * from {{ ref('int_projects') }}

),

sessions as (

    select * from {{ ref('dim_sessions') }}

),

by_project as (

    select
        project_id,
        min(started_at) as first_seen_at,
        max(ended_at) as last_active_at,
        count(*) as session_count,
        cast(sum(prompt_count) as bigint) as prompt_count,
        cast(sum(response_count) as bigint) as response_count,
        cast(sum(tool_call_count) as bigint) as tool_call_count,
        {%- for tokens in token_columns() %}
        cast(sum({{ tokens }}) as bigint) as {{ tokens }},
        {%- endfor %}
        -- sessions without a response cost 0: null only when there are responses and none has a price
        cast(
            case
                when sum(response_count) > 0 and sum(response_count) = sum(unpriced_response_count) then null
                else sum(cost_usd)
            end as decimal(18, 9)
        ) as cost_usd,
        cast(sum(unpriced_response_count) as bigint) as unpriced_response_count,
        cast(sum(lower_bound_response_count) as bigint) as lower_bound_response_count
    from sessions
    group by project_id

),

final as (

    select
        by_project.project_id,
        projects.project_name,
        projects.project_label,
        projects.project_path,
        projects.project_group,
        by_project.first_seen_at,
        by_project.last_active_at,
        by_project.session_count,
        by_project.prompt_count,
        by_project.response_count,
        by_project.tool_call_count,
        {%- for tokens in token_columns() %}
        by_project.{{ tokens }},
        {%- endfor %}
        by_project.cost_usd,
        by_project.unpriced_response_count,
        by_project.lower_bound_response_count,
        case
            when by_project.last_active_at >= {{ as_of() }} - interval 7 day then 'active'
            when by_project.last_active_at >= {{ as_of() }} - interval 30 day then 'recent'
            else 'dormant'
        end as activity_status
    from by_project
    left join projects
        on by_project.project_id = projects.project_id

)

select * from final
