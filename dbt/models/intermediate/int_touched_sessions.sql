{{ config(materialized='table') }}

with links as (

    select * from {{ ref('int_entry_links') }}

),

-- what came with the last load, entries without a session included: a summary names an entry of some session
new_entries as (

    select * from {{ ref('stg_entries') }}
    {%- if not flags.FULL_REFRESH %}
    where load_id = (select max(load_id) from {{ ref('stg_entries') }})
    {%- endif %}

),

new_links as (

    select distinct unnest({{ entry_links() }}) as link
    from new_entries

),

touched as (

    select session_id
    from new_entries
    where session_id is not null
    union
    select session_id
    from links
    where link in (select link from new_links)

),

-- what the touched sessions' rows can depend on
related as (

    select distinct session_id
    from links
    where link in (
        select link
        from links
        where session_id in (select session_id from touched)
    )

),

final as (

    select
        related.session_id,
        touched.session_id is not null as is_touched
    from related
    left join touched
        on related.session_id = touched.session_id

)

select * from final
