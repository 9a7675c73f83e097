{% macro known_entry_types() -%}
    {#-
        Types of entries seen so far. Others are kept and counted like these: a new Claude Code version wrote
        something that may be worth a look.
    -#}
    {{ return([
        'abort',
        'agent-name',
        'ai-title',
        'artifact-autoreact-ledger',
        'artifact-comment-monitor',
        'assistant',
        'atis-latch',
        'attachment',
        'bridge-session',
        'cost-state',
        'custom-title',
        'file-history-delta',
        'file-history-snapshot',
        'frame-link',
        'last-prompt',
        'mode',
        'model_fallback',
        'permission-mode',
        'pr-link',
        'progress',
        'queue-operation',
        'scheduled_task_fire',
        'summary',
        'system',
        'user',
    ]) }}
{%- endmacro %}

{% macro hook_attachments() -%}
    {#- Attachments that are a hook's run; others carry what it said. -#}
    {{ return(['hook_success', 'hook_blocking_error', 'hook_non_blocking_error', 'hook_error_during_execution', 'hook_cancelled']) }}
{%- endmacro %}
