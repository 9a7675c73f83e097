{#
    The typed shape of an entry, and how its parts are read.

    A document is parsed once: one json_transform to a struct runs at 1 GB/s on two cores, eight separate path
    extractions at a fifth of that. A key that is missing or of another type is null, never an error. What can be a
    string or an object stays JSON and is looked at again.
#}

{% macro usage_shape() -%}
{"input_tokens":"BIGINT","output_tokens":"BIGINT","cache_creation_input_tokens":"BIGINT","cache_read_input_tokens":"BIGINT","cache_creation":{"ephemeral_5m_input_tokens":"BIGINT","ephemeral_1h_input_tokens":"BIGINT"},"speed":"VARCHAR","service_tier":"VARCHAR","inference_geo":"VARCHAR","server_tool_use":{"web_search_requests":"BIGINT"},"output_tokens_details":{"thinking_tokens":"BIGINT"},"iterations":[{"type":"VARCHAR","model":"VARCHAR","input_tokens":"BIGINT","output_tokens":"BIGINT","cache_creation_input_tokens":"BIGINT","cache_read_input_tokens":"BIGINT","cache_creation":{"ephemeral_5m_input_tokens":"BIGINT","ephemeral_1h_input_tokens":"BIGINT"}}]}
{%- endmacro %}

{% macro message_shape() -%}
{"id":"VARCHAR","role":"VARCHAR","model":"VARCHAR","stop_reason":"VARCHAR","content":"JSON","usage":{{ usage_shape() }}}
{%- endmacro %}

{% macro tool_result_shape() -%}
{"type":"VARCHAR","content":"JSON","structuredPatch":[{"lines":["VARCHAR"]}],"agentId":"VARCHAR","agentType":"VARCHAR","interrupted":"BOOLEAN","isAsync":"BOOLEAN","backgroundTaskId":"VARCHAR","toolDenialKind":"VARCHAR"}
{%- endmacro %}

{% macro entry_shape() -%}
{"type":"VARCHAR","subtype":"VARCHAR","isMeta":"BOOLEAN","isCompactSummary":"BOOLEAN","isApiErrorMessage":"BOOLEAN","entrypoint":"VARCHAR","promptSource":"VARCHAR","origin":{"kind":"VARCHAR"},"toolDenialKind":"VARCHAR","leafUuid":"VARCHAR","summary":"VARCHAR","customTitle":"VARCHAR","aiTitle":"VARCHAR","prUrl":"VARCHAR","forkedFrom":{"sessionId":"VARCHAR","messageUuid":"VARCHAR"},"advisorModel":"VARCHAR","effort":"VARCHAR","attributionSkill":"VARCHAR","attributionPlugin":"VARCHAR","attributionMcpServer":"VARCHAR","error":"JSON","apiErrorStatus":"JSON","cause":{"code":"VARCHAR"},"retryAttempt":"BIGINT","maxRetries":"BIGINT","retryInMs":"DOUBLE","durationMs":"BIGINT","hookInfos":[{"command":"VARCHAR","durationMs":"BIGINT"}],"preventedContinuation":"BOOLEAN","totalCostUSD":"DOUBLE","modelUsage":"JSON","compactMetadata":{"trigger":"VARCHAR","preTokens":"BIGINT","postTokens":"BIGINT","durationMs":"BIGINT"},"attachment":{"type":"VARCHAR","hookName":"VARCHAR","hookEvent":"VARCHAR","command":"VARCHAR","durationMs":"BIGINT","origin":{"kind":"VARCHAR"},"commandMode":"VARCHAR","prompt":"JSON"},"message":{{ message_shape() }},"toolUseResult":{{ tool_result_shape() }},"data":{"type":"VARCHAR","hookName":"VARCHAR","hookEvent":"VARCHAR","command":"VARCHAR","agentId":"VARCHAR","message":{"type":"VARCHAR","uuid":"VARCHAR","timestamp":"VARCHAR","requestId":"VARCHAR","isMeta":"BOOLEAN","isCompactSummary":"BOOLEAN","isApiErrorMessage":"BOOLEAN","effort":"VARCHAR","attributionSkill":"VARCHAR","attributionPlugin":"VARCHAR","attributionMcpServer":"VARCHAR","advisorModel":"VARCHAR","toolDenialKind":"VARCHAR","message":{{ message_shape() }},"toolUseResult":{{ tool_result_shape() }}}}}
{%- endmacro %}

{% macro block_shape() -%}
[{"type":"VARCHAR","text":"VARCHAR","id":"VARCHAR","name":"VARCHAR","input":"JSON","tool_use_id":"VARCHAR","is_error":"BOOLEAN","content":"JSON"}]
{%- endmacro %}

{% macro parse_json(column, shape) -%}
    {{ return(adapter.dispatch('parse_json')(column, shape)) }}
{%- endmacro %}

{% macro default__parse_json(column, shape) -%}
    json_transform({{ column }}, '{{ shape }}')
{%- endmacro %}

{% macro json_text(column) -%}
    {#- The string a JSON value holds; null for anything that is not a string. -#}
    {{ return(adapter.dispatch('json_text')(column)) }}
{%- endmacro %}

{% macro default__json_text(column) -%}
    case when {{ json_starts_with(column, '"') }} then {{ column }} ->> '$' end
{%- endmacro %}

{% macro json_starts_with(column, character) -%}
    {#-
        Whether a part of a parsed document that was kept as JSON is a string (`"`) or an array (`[`). It has no white
        space before it, and json_type() would parse all of it to say so.
    -#}
    starts_with(cast({{ column }} as varchar), '{{ character }}')
{%- endmacro %}

{% macro json_texts(column) -%}
    {#- The text of a JSON value that is a string or a list of blocks: the text blocks' texts, a line each. -#}
    {{ return(adapter.dispatch('json_texts')(column)) }}
{%- endmacro %}

{% macro default__json_texts(column) -%}
    case
        when {{ json_starts_with(column, '"') }} then {{ column }} ->> '$'
        when {{ json_starts_with(column, '[') }} then nullif(
            array_to_string(
                list_filter(json_transform({{ column }}, '[{"text":"VARCHAR"}]').list_transform(lambda b: b.text), lambda t: t is not null),
                chr(10)
            ),
            ''
        )
    end
{%- endmacro %}

{% macro canonical_json(column, without) -%}
    {#- JSON text in one canonical spelling, without the given top-level keys: equal content compares equal. -#}
    {{ return(adapter.dispatch('canonical_json')(column, without)) }}
{%- endmacro %}

{% macro default__canonical_json(column, without) -%}
    json_merge_patch({{ column }}, '{ {%- for key in without %}"{{ key }}":null{{ "," if not loop.last }}{% endfor -%} }')
{%- endmacro %}

{% macro token_count(column) -%}
    {#- A number of tokens; 0 when it is missing or none a response could have, so that no sum overflows. -#}
    case when {{ column }} between 0 and 100000000 then {{ column }} else 0 end
{%- endmacro %}

{% macro measured(column, most=1000000000000) -%}
    {#- A number that was measured; null when it is negative or beyond anything that could be, so that no sum overflows. -#}
    case when {{ column }} between 0 and {{ most }} then {{ column }} end
{%- endmacro %}

{% macro measured_usd(column) -%}
    {#- What a session cost: DOUBLE, null when it is negative or more than a million dollars. -#}
    {{ measured(column, 1000000) }}
{%- endmacro %}
