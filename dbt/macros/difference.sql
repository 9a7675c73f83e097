{% macro difference(left, right) -%}
    {#- The rows of two relations with the same columns that only one of them has; nulls compare equal. -#}
    select 'only in {{ left }}' as side, *
    from (select * from {{ left }} except all select * from {{ right }})
    union all
    select 'only in {{ right }}' as side, *
    from (select * from {{ right }} except all select * from {{ left }})
{%- endmacro %}
