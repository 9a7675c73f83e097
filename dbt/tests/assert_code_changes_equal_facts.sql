-- Operations and lines of every day and language equal the successful file operations.
with

in_aggregate as (

    select * exclude (code_change_key)
    from {{ ref('agg_code_changes') }}

),

in_facts as (

    select
        operated_date_key as date_key,
        language,
        count(distinct case when operation <> 'read' then file_path end) as files_touched,
        sum(operation = 'edit') as edit_count,
        sum(operation = 'create') as create_count,
        sum(operation = 'overwrite') as overwrite_count,
        sum(operation = 'read') as read_count,
        coalesce(sum(lines_added), 0) as lines_added,
        coalesce(sum(lines_removed), 0) as lines_removed
    from {{ ref('fct_file_operations') }}
    where
        status = 'success'
        and operated_date_key is not null
    group by all

)

{{ difference('in_aggregate', 'in_facts') }}
