with

{{snippet: days}},

{{snippet: grain}},

operations as (

    select
        operated_date_key,
        project_id,
        coalesce(language, 'other') as language,
        sum(lines_added) as lines_added,
        sum(lines_removed) as lines_removed
    from fct_file_operations
    where
        true
        and operated_date_key is not null
        and status = 'success'
        and operation <> 'read'
        [[and operated_date_key in (select date_key from dim_date where {{date}})]]
        {{snippet: sessions_chosen}}
    group by
        operated_date_key,
        project_id,
        coalesce(language, 'other')

),

ranked as (

    select
        language,
        row_number() over (
            order by
                sum(lines_added + lines_removed) desc,
                language
        ) as place
    from operations
    group by language

),

dated as (

    select
        {{snippet: period_start operations.operated_date_key}} as period_start,
        case when ranked.place <= 7 then operations.language else 'all others' end as language,
        operations.lines_added,
        operations.lines_removed
    from operations
    cross join grain
    inner join ranked
        on operations.language = ranked.language

),

signed as (

    -- a series for each sign: charts add up rows of one series and day, and would show net lines
    select
        period_start,
        language || ', added' as language,
        sum(lines_added) as lines
    from dated
    group by
        period_start,
        language
    union all
    select
        period_start,
        language || ', removed',
        - sum(lines_removed)
    from dated
    group by
        period_start,
        language

)

select
    period_start,
    language,
    lines
from signed
where lines <> 0
order by
    period_start,
    language,
    lines
