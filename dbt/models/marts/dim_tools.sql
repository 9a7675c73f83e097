with

tool_calls as (

    select * from {{ ref('fct_tool_calls') }}

),

catalogue as (

    select * from {{ ref('tool_catalogue') }}

),

used as (

    select distinct tool_name
    from tool_calls

),

-- mcp__<server>__<tool>: the server ends at the first double underscore
named as (

    select
        tool_name,
        starts_with(tool_name, 'mcp__') as is_mcp,
        nullif(regexp_extract(tool_name, '^mcp__(.+?)__(.+)$', 1), '') as mcp_server,
        nullif(regexp_extract(tool_name, '^mcp__(.+?)__(.+)$', 2), '') as mcp_tool
    from used

),

final as (

    select
        named.tool_name,
        case
            when named.is_mcp then 'mcp'
            else coalesce(catalogue.tool_category, 'other')
        end as tool_category,
        case
            when named.mcp_tool is not null
                then 'Tool ' || named.mcp_tool || ' of the MCP server ' || named.mcp_server
            else catalogue.description
        end as description,
        named.is_mcp,
        named.mcp_server,
        named.mcp_tool
    from named
    left join catalogue
        on named.tool_name = catalogue.tool_name

)

select * from final
