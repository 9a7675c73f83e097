{#
    md5 over the given columns. Null differs from the empty string, and no two lists of values meet by chance of where
    one value ends: each is preceded by its length.
#}
{% macro surrogate_key(columns) -%}
    md5(
        {%- for column in columns %}
        coalesce(length(cast({{ column }} as varchar)) || ':' || cast({{ column }} as varchar), '-')
        {%- if not loop.last %} || '|' ||{% endif %}
        {%- endfor %}
    )
{%- endmacro %}
