{#
    Incremental by session.

    A load touches the sessions its documents belong to, and those that share an entry, a response or a tool call with
    them (int_touched_sessions). A model with incremental_strategy `touched_sessions` deletes their rows and
    computes them anew. What a session's rows depend on always lies in the sessions int_entries holds, so the result
    equals a full refresh.
#}

{% macro entry_links() -%}
    {#-
        The 64-bit keys by which an entry hangs together with entries of other sessions: its own identity, the
        response it is a line of, the calls and results it holds, the entry a summary names and the transcript it stands
        in. A collision only makes a run do more than it must.
    -#}
    list_distinct(
        list_filter(
            [
                hash('entry', entry_key),
                case when line_key <> entry_key then hash('entry', line_key) end,
                case when leaf_uuid is not null then hash('entry', leaf_uuid) end,
                case when response_key is not null then hash('response', response_key) end,
                case when {{ is_main_transcript('source_file') }} then hash('transcript', source_file) end,
            ] || [hash('call', b.tool_use_id) for b in tool_blocks],
            lambda link: link is not null
        )
    )
{%- endmacro %}

{% macro touched_sessions_filter(column='session_id') -%}
    {#- Condition: every session on a full build, the touched ones on an incremental run. -#}
    {#- outside of the condition: dbt looks for dependencies where is_incremental() is never true -#}
    {%- set touched = ref('int_touched_sessions') -%}
    {%- if is_incremental() -%}
        {{ column }} in (select session_id from {{ touched }} where is_touched)
    {%- else -%}
        true
    {%- endif -%}
{%- endmacro %}

{% macro touched_rows(relation, day, related=false, incremental=none) -%}
    {#-
        Query: the rows of `relation` a run needs, all of them on a full build, those of the touched sessions on an
        incremental run, or those of every session in int_touched_sessions (`related`). A view says itself whether the
        run is `incremental`.

        `day` is the relation's DATE column it is clustered by. All rows of these sessions lie in int_touched_days, or
        have no day: what was, like what is, comes from entries that are in int_related_entries. Asking for the day as
        well lets the engine skip the row groups of other days unread; session ids are random and can skip none. Rows
        without a day are looked for only when there may be any.
    -#}
    {%- set sessions = ref('int_touched_sessions') -%}
    {%- set days = ref('int_touched_days') -%}
    {%- set of_touched = '' if related else ' and is_touched' -%}
    select * from {{ relation }}
    {%- if (is_incremental() if incremental is none else incremental) %}
    where
        {{ day }} in (select date_key from {{ days }})
        and session_id in (select session_id from {{ sessions }} where true{{ of_touched }})
    union all
    select * from {{ relation }}
    where
        {{ day }} is null
        and session_id in (select session_id from {{ sessions }} where {{ some_without_day() }}{{ of_touched }})
    {%- endif -%}
{%- endmacro %}

{% macro some_without_day() -%}
    {#- Condition: whether sessions in int_touched_sessions may have rows without a day. -#}
    exists (select 1 from {{ ref('int_touched_days') }} where date_key is null)
{%- endmacro %}

{% macro get_incremental_touched_sessions_sql(arg_dict) -%}
    {#- What dbt's incremental materialization runs for this strategy: the rows in `temp_relation` replace the old. -#}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {{ delete_touched_sessions() }};
    insert into {{ this }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
{%- endmacro %}

{% macro delete_touched_sessions() -%}
    {#-
        What strategy `touched_sessions` does before it adds the model's rows; see touched_rows() for what `cluster_by`
        is good for. The model itself must read int_touched_sessions, and int_touched_days if it is clustered, or name
        them in a `depends_on` comment. analytics.warehouse.plan writes the same.
    -#}
    {%- set touched = 'select session_id from ' ~ ref('int_touched_sessions') ~ ' where is_touched' -%}
    {%- set day = config.get('cluster_by') -%}
    {%- if day -%}
    delete from {{ this }}
        where {{ day }} in (select date_key from {{ ref('int_touched_days') }}) and session_id in ({{ touched }});
    delete from {{ this }}
        where {{ day }} is null and session_id in ({{ touched }} and {{ some_without_day() }})
    {%- else -%}
    delete from {{ this }}
        where session_id in ({{ touched }})
    {%- endif -%}
{%- endmacro %}

{% macro of_last_load() -%}
    {#-
        Condition on the rows of stg_entries: those of the last load, unless `this` has rows of it already. For models
        that not every load adds rows to: "newer than what is here" would read the loads since again and again.
    -#}
    load_id = (select max(load_id) from {{ ref('stg_entries') }})
        and load_id > (select coalesce(max(load_id), 0) from {{ this }})
{%- endmacro %}

{% macro uuid_of_entry(entry_key) -%}
    {#- The uuid in an entry's key; null for entries without one. -#}
    case when not regexp_matches({{ entry_key }}, '^(?:content|document):') then {{ entry_key }} end
{%- endmacro %}

{% macro of_related_sessions(entries) -%}
    {#-
        Condition on the rows of `entries` (stg_entries): those of the touched sessions and of the ones their rows
        depend on. By row number, so that the engine finds them in two columns and then reads the other columns of
        these rows only: of a million rows it would read all of them otherwise. And by load, so that it skips the loads
        these sessions were not in.
    -#}
    {%- set sessions = 'select session_id from ' ~ ref('int_touched_sessions') -%}
    {{ row_number_of_table() }} in (
            select {{ row_number_of_table() }}
            from {{ entries }}
            where
                load_id in (select load_id from {{ ref('int_session_loads') }} where session_id in ({{ sessions }}))
                and session_id in ({{ sessions }})
        )
{%- endmacro %}

{% macro row_number_of_table() -%}
    {#- The engine's own number of a row. Unit tests put a key in its place: what they are given is no table. -#}
    rowid
{%- endmacro %}
