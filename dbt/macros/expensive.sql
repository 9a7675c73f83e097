{#
    Why something was expensive: `expensive_because` of fct_messages. Heuristics; docs/how-we-count.md says the same.
#}

{% macro response_is_expensive_because() -%}
    {#-
        A context that is mostly not read from the cache after a pause in which the cache went (the prompt comes behind the
        pause: it is counted from the chain's last response), a long context, a long output; null when ordinary.
    -#}
    case
        when message_kind not in ('response', 'advisor') then null
        when
            context_tokens >= 20000
            and cache_read_tokens * 2 < context_tokens
            and epoch_ms(created_at) - epoch_ms(previous_response_at) >= 300000
            then 'cold cache'
        when context_tokens >= 200000 then 'long context'
        when output_tokens >= 8000 then 'long output'
    end
{%- endmacro %}

{% macro turn_is_expensive_because(turn) -%}
    {#-
        The weightiest reason of the turn's responses, with all of its sub-agents as one, if it stands behind a quarter
        of the cost; else how many tool calls it took. Null when the turn is ordinary or has no price.

        `turn` is the relation alias of the turn's sums.
    -#}
    {%- set reasons = ['cold_cache', 'long_context', 'long_output', 'subagent'] -%}
    {%- set names = {'subagent': 'sub-agents'} -%}
    {%- set weights = [] -%}
    {%- for reason in reasons -%}{%- do weights.append(turn ~ '.' ~ reason ~ '_cost_usd') -%}{%- endfor -%}
    case
        when coalesce({{ turn }}.cost_usd, 0) <= 0 then null
        when greatest({{ weights | join(', ') }}) * 4 >= {{ turn }}.cost_usd
            then
                case greatest({{ weights | join(', ') }})
                    {%- for reason in reasons %}
                    when {{ turn }}.{{ reason }}_cost_usd then '{{ names.get(reason, reason | replace("_", " ")) }}'
                    {%- endfor %}
                end
        when {{ turn }}.tool_use_count >= 25 then 'many calls'
    end
{%- endmacro %}
