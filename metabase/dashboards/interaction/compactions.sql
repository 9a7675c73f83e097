with

compactions as (

    select
        compacted_date_key,
        project_id,
        coalesce(trigger, 'not said') as trigger,
        session_id,
        pre_tokens,
        post_tokens,
        duration_ms
    from fct_compactions
    where
        true
        [[and compacted_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}

)

select
    trigger,
    count(*) as compaction_count,
    count(distinct session_id) as session_count,
    avg(pre_tokens) as mean_pre_tokens,
    avg(post_tokens) as mean_post_tokens,
    quantile_cont(duration_ms::double, 0.5) as median_duration_ms
from compactions
group by trigger
order by
    compaction_count desc,
    trigger
