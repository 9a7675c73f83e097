{#
    Materialization of what only this run needs: the rows of the sessions it computes anew. On an incremental run that
    is little, and a table saves reading the history again for every model; on a full refresh it is everything, and a
    view saves writing everything twice.
#}
{% materialization working_set, adapter='duckdb' -%}
    {%- set as_view = flags.FULL_REFRESH -%}
    {%- set target_relation = this.incorporate(type='view' if as_view else 'table') -%}
    {%- set existing_relation = load_cached_relation(this) -%}

    {{ run_hooks(pre_hooks, inside_transaction=False) }}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}

    {% if existing_relation is not none %}
        {{ drop_relation_if_exists(existing_relation) }}
    {% endif %}
    {% call statement('main') -%}
        {%- if as_view -%}
            {{ create_view_as(target_relation, sql) }}
        {%- else -%}
            {{ create_table_as(False, target_relation, sql) }}
        {%- endif -%}
    {%- endcall %}

    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ run_hooks(post_hooks, inside_transaction=False) }}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
