with

findings as (

    select
        dim_sessions.started_date_key,
        agg_waste.project_id,
        agg_waste.session_id,
        agg_waste.finding,
        agg_waste.occurrence_count,
        agg_waste.cost_usd
    from agg_waste
    inner join dim_sessions
        on agg_waste.session_id = dim_sessions.session_id
    where
        true
        [[and dim_sessions.started_date_key in (select date_key from dim_date where {{date}})]]
        [[and agg_waste.project_id in (select project_id from dim_projects where {{project}})]]
        [[and agg_waste.session_id in (select session_id from dim_sessions where {{machine}})]]
        [[and agg_waste.session_id in (select session_id from dim_sessions where {{person}})]]

)

select
    case finding
        when 'repeated_read' then 'The same unchanged file read again'
        when 'repeated_failing_call' then 'The same failing call tried again'
        when 'cost_outlier' then 'A response that cost ten times the session''s median'
        when 'cache_rebuild' then 'Prompt cache rebuilt after a pause'
        else finding
    end as what_happened,
    sum(cost_usd) as cost_usd,
    sum(occurrence_count) as occurrence_count,
    count(distinct session_id) as session_count,
    case finding
        when 'repeated_read' then 'Point Claude to what it already read; keep sessions short of a compaction'
        when 'repeated_failing_call' then 'Put the working command into CLAUDE.md, or allow the permission it lacks'
        when 'cost_outlier' then 'Look at the session: a huge paste, a huge tool result or a long context'
        when 'cache_rebuild' then 'Finish or /clear before a break: coming back late pays for the whole context again'
        else ''
    end as what_to_do
from findings
group by finding
order by
    cost_usd desc,
    what_happened
