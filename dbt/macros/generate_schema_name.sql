{#
    Plain schema names: `staging`, `intermediate`, `marts`, `seeds`, not `main_marts`. There is one database file for
    each environment, so the target's schema need not tell them apart.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}
