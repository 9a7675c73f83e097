{% macro token_columns() -%}
    {#- The token kinds of a response. They are priced differently: never added up into one number. -#}
    {{ return(['input_tokens', 'output_tokens', 'cache_write_5m_tokens', 'cache_write_1h_tokens', 'cache_read_tokens']) }}
{%- endmacro %}
