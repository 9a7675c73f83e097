{% macro known_entry_types() -%}
    {#-
        Types of entries seen so far. Others are kept and counted like these: a new Claude Code version wrote
        something that may be worth a look.
    -#}
    {{ return([
        'agent-name',
        'ai-title',
        'assistant',
        'attachment',
        'bridge-session',
        'cost-state',
        'custom-title',
        'file-history-delta',
        'file-history-snapshot',
        'last-prompt',
        'mode',
        'permission-mode',
        'pr-link',
        'progress',
        'queue-operation',
        'summary',
        'system',
        'user',
    ]) }}
{%- endmacro %}
