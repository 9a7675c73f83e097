{{ config(materialized='incremental') }}

{#- outside of the condition: dbt must see both dependencies -#}
{%- set links_relation = ref('int_entry_links') -%}
{%- set entries_relation = ref('stg_entries') -%}

with

{% if is_incremental() -%}

entries as (

    select * from {{ entries_relation }}
    where {{ of_last_load() }}

),

-- entries without a session included: a summary names an entry of some session
new_links as (

    select
        session_id,
        unnest({{ entry_links() }}) as link
    from entries

),

-- the sessions each new link stands in, old ones included; by row number, so that of the old ones only links are read
occurrences as (

    select
        session_id,
        link
    from {{ links_relation }}
    where
        {{ row_number_of_table() }} in (
            select {{ row_number_of_table() }}
            from {{ links_relation }}
            where link in (select link from new_links)
        )
    union
    select
        session_id,
        link
    from new_links

),

{%- else -%}

occurrences as (

    select * from {{ links_relation }}

),

{%- endif %}

shared as (

    select link
    from occurrences
    group by link
    having count(*) > 1

),

final as (

    select
        session_id,
        link,
        (select max(load_id) from {{ links_relation }}) as load_id
    from occurrences
    where
        session_id is not null
        and link in (select link from shared)
        {%- if is_incremental() %}
        -- some tools number their calls: thousands of sessions may have one and the same
        and (session_id, link) not in (select (session_id, link) from {{ this }} where link in (select link from shared))
        {%- endif %}

)

select * from final
