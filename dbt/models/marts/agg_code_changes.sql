with

file_operations as (

    select * from {{ ref('fct_file_operations') }}

),

by_day_language as (

    select
        operated_date_key as date_key,
        language,
        count(distinct file_path) filter (where operation <> 'read') as files_touched,
        count(*) filter (where operation = 'edit') as edit_count,
        count(*) filter (where operation = 'create') as create_count,
        count(*) filter (where operation = 'overwrite') as overwrite_count,
        count(*) filter (where operation = 'read') as read_count,
        cast(coalesce(sum(lines_added), 0) as bigint) as lines_added,
        cast(coalesce(sum(lines_removed), 0) as bigint) as lines_removed
    from file_operations
    where
        status = 'success'
        and operated_date_key is not null
    group by
        operated_date_key,
        language

),

final as (

    select
        {{ surrogate_key(['date_key', 'language']) }} as code_change_key,
        date_key,
        language,
        files_touched,
        edit_count,
        create_count,
        overwrite_count,
        read_count,
        lines_added,
        lines_removed
    from by_day_language

)

select * from final
