{#
    What only this run needs: the rows of the sessions it computes anew. On an incremental run that is little, and a
    table saves reading the history again for every model; on a full refresh it is everything, and a view saves
    writing everything twice. `is_incremental()` is false in such a model: flags.FULL_REFRESH tells.
#}
{% materialization working_set, adapter='duckdb' -%}
    {%- set type = 'view' if should_full_refresh() else 'table' -%}
    {%- set existing_relation = load_cached_relation(this) -%}
    {%- set target_relation = this.incorporate(type=type) -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing_relation is not none and existing_relation.type != type -%}
        {%- do adapter.drop_relation(existing_relation) -%}
    {%- endif -%}
    {%- call statement('main') -%}
        create or replace {{ type }} {{ target_relation }} as (
            {{ sql }}
        )
    {%- endcall -%}
    {{ run_hooks(post_hooks) }}
    {%- do adapter.commit() -%}
    {{ return({'relations': [target_relation]}) }}
{%- endmaterialization %}
