{#
    How models become tables, views and rows.

    dbt's own materializations build beside the old relation and rename, so that readers are not disturbed, and look
    at the columns of both relations each time. Nobody reads the working copy while it is built, and a run with
    little new spends most of its time on those statements: these here replace in place, one text of statements for
    each model.

    With var `prepare` they run nothing and only write those texts, which `analytics.prepared` then runs by itself.
#}

{% macro execute_or_write(statements) -%}
    {%- if var('prepare', false) -%}
        {%- call noop_statement('main', 'prepared', 'prepared', -1) -%}{{ statements }}{%- endcall -%}
    {%- else -%}
        {%- call statement('main') -%}{{ statements }}{%- endcall -%}
    {%- endif -%}
{%- endmacro %}

{% macro replace_with_table(existing_relation) -%}
    {#- The table `this` with the model's rows, in order of `cluster_by`, in place of whatever `existing_relation` is. -#}
    {%- do assert_shape(none) -%}
    {%- do drop_unless(existing_relation, 'table') -%}
    {%- set rows = get_select_subquery(sql) if config.get('contract').enforced else sql -%}
    {%- if config.get('cluster_by') -%}
        {#- two statements: joins, windows and the sort at once would need the memory of all of them -#}
        {%- set unordered = 'temp.' ~ this.identifier ~ '__unordered' -%}
        {{ execute_or_write(
            'create or replace temp table ' ~ unordered ~ ' as\n' ~ rows ~ ';\n'
            ~ 'create or replace table ' ~ this ~ ' as from ' ~ unordered ~ ' order by ' ~ config.get('cluster_by')
            ~ ';\ndrop table ' ~ unordered
        ) }}
    {%- else -%}
        {{ execute_or_write('create or replace table ' ~ this ~ ' as\n' ~ rows) }}
    {%- endif -%}
    {{ return({'relations': [this.incorporate(type='table')]}) }}
{%- endmacro %}

{% macro replace_with_view(existing_relation) -%}
    {#- The view `this`, in place of whatever `existing_relation` is. -#}
    {%- do drop_unless(existing_relation, 'view') -%}
    {{ execute_or_write('create or replace view ' ~ this ~ ' as\n' ~ sql) }}
    {{ return({'relations': [this.incorporate(type='view')]}) }}
{%- endmacro %}

{% macro add_rows(existing_relation) -%}
    {#- The model's rows into the table `this`. -#}
    {%- do assert_shape(existing_relation) -%}
    {%- set by_session = config.get('incremental_strategy') == 'touched_sessions' -%}
    {%- set delete = delete_touched_sessions() ~ ';\n' if by_session else '' -%}
    {{ execute_or_write(delete ~ 'insert into ' ~ this ~ ' by name\n' ~ sql) }}
    {{ return({'relations': [existing_relation]}) }}
{%- endmacro %}

{% macro drop_unless(existing_relation, type) -%}
    {%- if existing_relation is not none and existing_relation.type != type and not var('prepare', false) -%}
        {%- do adapter.drop_relation(existing_relation) -%}
    {%- endif -%}
{%- endmacro %}

{% macro assert_shape(existing_relation) -%}
    {#-
        Raises when the model's columns are not those its contract promises, or, for rows that are added to a table
        (`existing_relation`), not those of that table.
    -#}
    {%- if not var('prepare', false) -%}
        {%- if config.get('contract').enforced -%}
            {%- do get_assert_columns_equivalent(sql) -%}
        {%- endif -%}
        {%- if existing_relation is not none -%}
            {%- set wanted = columns_of(existing_relation) -%}
            {%- set given = columns_of(sql) -%}
            {%- if wanted | sort != given | sort -%}
                {%- do exceptions.raise_compiler_error(
                    "the table has " ~ wanted | reject('in', given) | join(', ') ~ ", the model gives "
                    ~ given | reject('in', wanted) | join(', ') ~ ": build it with --full-refresh"
                ) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{% macro columns_of(relation_or_query) -%}
    {#- Names and types, as ['session_id VARCHAR', …]. -#}
    {%- set columns = [] -%}
    {%- for row in run_query('describe ' ~ relation_or_query).rows -%}
        {%- do columns.append(row[0] ~ ' ' ~ row[1]) -%}
    {%- endfor -%}
    {{ return(columns) }}
{%- endmacro %}

{% materialization table, adapter='duckdb' -%}
    {{ run_hooks(pre_hooks) }}
    {%- set result = replace_with_table(load_cached_relation(this)) -%}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return(result) }}
{%- endmaterialization %}

{% materialization view, adapter='duckdb' -%}
    {{ run_hooks(pre_hooks) }}
    {%- set result = replace_with_view(load_cached_relation(this)) -%}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return(result) }}
{%- endmaterialization %}

{#
    Rows are added: to those that are there (no strategy), or in place of those of the touched sessions (strategy
    `touched_sessions`, see incremental_sessions.sql).
#}
{% materialization incremental, adapter='duckdb' -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing_relation is none or not existing_relation.is_table or should_full_refresh() -%}
        {%- set result = replace_with_table(existing_relation) -%}
    {%- else -%}
        {%- set result = add_rows(existing_relation) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return(result) }}
{%- endmaterialization %}

{#
    What only this run needs: the rows of the sessions it computes anew. On an incremental run that is little, and a
    table saves reading the history again for every model; on a full refresh it is everything, and a view saves
    writing everything twice.
#}
{% materialization working_set, adapter='duckdb' -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if should_full_refresh() -%}
        {%- set result = replace_with_view(existing_relation) -%}
    {%- else -%}
        {%- set result = replace_with_table(existing_relation) -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return(result) }}
{%- endmaterialization %}
