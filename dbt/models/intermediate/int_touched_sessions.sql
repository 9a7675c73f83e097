{{ config(materialized='table') }}

{#- outside of the condition: dbt must see both dependencies -#}
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

-- what came with the last load, and what shares something with it
touched as (

    select session_id
    from {{ entries_relation }}
    where
        load_id = (select max(load_id) from {{ entries_relation }})
        and session_id is not null
    union
    select session_id
    from links
    where load_id = (select max(load_id) from {{ entries_relation }})

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
