{{ config(materialized='table') }}

{#- outside of the condition: dbt must see both dependencies -#}
{%- set entry_links_relation = ref('int_entry_links') -%}
{%- set shared_links_relation = ref('int_shared_links') -%}
{%- set entries_relation = ref('stg_entries') -%}

{% if flags.FULL_REFRESH -%}

with final as (

    select distinct
        session_id,
        true as is_touched
    from {{ entries_relation }}
    where session_id is not null

)

{%- else -%}

with links as (

    select * from {{ shared_links_relation }}

),

new_entries as (

    select * from {{ entries_relation }}
    where load_id = (select max(load_id) from {{ entries_relation }})

),

-- entries without a session included: a summary names an entry of some session
new_links as (

    select link
    from {{ entry_links_relation }}
    where load_id = (select max(load_id) from {{ entries_relation }})
    union all
    select unnest({{ entry_links() }})
    from new_entries
    where session_id is null

),

-- what came with the last load, and what shares something with it
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

    select session_id
    from touched
    union
    select session_id
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

{%- endif %}

select * from final
