{#
    Rows where any of `columns` is null: one scan for a model instead of one test a column.
#}
{% test no_nulls(model, columns) %}

select
    {%- for column in columns %}
    {{ column }}{{ "," if not loop.last }}
    {%- endfor %}
from {{ model }}
where
    {%- for column in columns %}
    {{ "or " if not loop.first }}{{ column }} is null
    {%- endfor %}

{% endtest %}
