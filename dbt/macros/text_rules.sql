{#
    Rules over text. They are heuristics, each labelled so in docs/how-we-count.md, and all of them live here.
#}

{% macro line_count(text) -%}
    {#- Number of lines of a text; a last newline ends a line and does not open another. -#}
    case
        when {{ text }} is null then null
        when {{ text }} = '' then 0
        else
            length({{ text }}) - length(replace({{ text }}, chr(10), ''))
            + case when ends_with({{ text }}, chr(10)) then 0 else 1 end
    end
{%- endmacro %}

{% macro patch_line_count(patch, sign) -%}
    {#- Lines of a structuredPatch that start with `sign`. -#}
    list_sum([
        len([line for line in hunk.lines if starts_with(line, '{{ sign }}')])
        for hunk in {{ patch }}
        if hunk.lines is not null
    ])
{%- endmacro %}

{% macro command_segment_start() -%}
    {#- Where a command can begin: the start of a line or behind an operator, behind assignments and wrappers. -#}
    (?:^|[\n;&|(]|\bdo\b|\bthen\b|\belse\b)\s*(?:[A-Za-z_][A-Za-z0-9_]*=(?:"[^"]*"|''[^'']*''|[^\s"'';&|]*)\s+)*(?:(?:sudo|time|env|command|nohup|exec|rtk)\s+)*
{%- endmacro %}

{% macro command_program(command) -%}
    {#- First program of a shell command, without its folder, leading assignments, `cd …` and wrappers. -#}
    nullif(
        regexp_extract(
            regexp_replace({{ command }}, '^\s*(?:#[^\n]*\n\s*)*(?:cd\s+(?:"[^"]*"|''[^'']*''|[^\s;&|]+)\s*(?:&&|;|\n)\s*)?', ''),
            '^(?:[A-Za-z_][A-Za-z0-9_]*=(?:"[^"]*"|''[^'']*''|[^\s"'';&|]*)\s+)*(?:(?:sudo|time|env|command|nohup|exec)\s+)*(?:[^\s;&|()<>"'']*/)?([A-Za-z0-9_.+@\[-]+)',
            1
        ),
        ''
    )
{%- endmacro %}

{% macro runs_git_commit(command) -%}
    {#- Whether a shell command runs `git commit` anywhere in it. -#}
    regexp_matches(
        {{ command }},
        '{{ command_segment_start() }}git(?:\s+-[cC]\s+(?:"[^"]*"|''[^'']*''|\S+)|\s+--[a-z-]+(?:=\S+)?)*\s+commit(?:\s|$)'
    )
    and not regexp_matches({{ command }}, 'git\s+commit\s[^\n;&|]*--dry-run')
{%- endmacro %}

{% macro runs_pull_request(command) -%}
    {#- Whether a shell command opens a pull or merge request. -#}
    regexp_matches(
        {{ command }},
        '{{ command_segment_start() }}(?:gh\s+pr\s+create|hub\s+pull-request|glab\s+mr\s+create)(?:\s|$)'
    )
{%- endmacro %}

{% macro is_question(text) -%}
    {#- Ends in a question mark, or its first word asks. -#}
    regexp_matches(
        {{ text }},
        '\?\s*$|(?i)^\s*(?:what|why|how|when|where|who|which|whose|can|could|should|would|is|are|does|do|did|will|was|were|has|have)\b'
    )
{%- endmacro %}

{% macro task_category(text) -%}
    {#- What a prompt asks for, by its words; the first that fits. -#}
    {%- set head = "left(" ~ text ~ ", 2000)" -%}
    case
        when {{ text }} is null then null
        when regexp_matches({{ head }}, '(?i)\b(?:fix|bug|broken|error|fails?|failing|failed|crash(?:es|ed)?|exception|regression|debug|wrong|issue)\b') then 'bug_fix'
        when regexp_matches({{ head }}, '(?i)\b(?:tests?|testing|coverage|pytest|unittest|e2e)\b') then 'test'
        when regexp_matches({{ head }}, '(?i)\b(?:refactor(?:ing)?|clean ?up|simplify|rename|restructure|extract|deduplicate|reorgani[sz]e)\b') then 'refactor'
        when regexp_matches({{ head }}, '(?i)\b(?:review|audit|critique|feedback)\b') then 'review'
        when regexp_matches({{ head }}, '(?i)\b(?:docs?|documentation|readme|docstrings?|changelog|comments?)\b') then 'documentation'
        when regexp_matches({{ head }}, '(?i)\b(?:deploy|docker|ci|pipeline|kubernetes|terraform|release|publish|merge|rebase|commit|push|pull request|pr|install|upgrade)\b') then 'devops'
        when regexp_matches({{ head }}, '(?i)\b(?:explain|what|why|how|where|understand|describe|summari[sz]e|tell me)\b') then 'explanation'
        when regexp_matches({{ head }}, '(?i)\b(?:add|implement|create|build|make|write|support|introduce|generate|update|change)\b') then 'feature'
        else 'other'
    end
{%- endmacro %}

{% macro is_rejection(error_text) -%}
    {#- The user said no to a tool call. What a command printed does not tell: others reject things too. -#}
    coalesce(
        regexp_matches({{ error_text }}, '(?i)user (?:doesn[''’]t|does not) want to proceed|tool use was rejected')
        or (
            regexp_matches({{ error_text }}, '(?i)^[^\n]*(?:user rejected|rejected by (?:the )?user)')
            and not {{ is_of_command(error_text) }}
        ),
        false
    )
{%- endmacro %}

{% macro is_interruption(error_text) -%}
    {#- The user stopped a tool call while it ran; that can stand behind what the command printed. -#}
    coalesce(
        regexp_matches({{ error_text }}, '(?i)(?:^|\n)\s*\[?request interrupted by user')
        or (
            regexp_matches({{ error_text }}, '(?i)^[^\n]*interrupted by (?:the )?user')
            and not {{ is_of_command(error_text) }}
        ),
        false
    )
{%- endmacro %}

{% macro is_of_command(error_text) -%}
    {#- What a shell command printed, behind its exit code. -#}
    regexp_matches({{ error_text }}, '(?i)^\s*(?:error:\s*)?exit code \d+')
{%- endmacro %}

{% macro is_denied_by_user(tool_denial_kind) -%}
    {#- `user-rejected`: a person was asked and said no. -#}
    coalesce(regexp_matches({{ tool_denial_kind }}, 'user|reject'), false)
{%- endmacro %}

{% macro is_denied_by_rule(tool_denial_kind) -%}
    {#- `permission-rule`, `automode-blocked`, a hook …: nobody was asked. What was cancelled was not denied. -#}
    coalesce(not regexp_matches({{ tool_denial_kind }}, 'user|reject|interrupt|cancel'), false)
{%- endmacro %}

{% macro error_class(status, tool_name, error_text, tool_denial_kind) -%}
    {#- Why a call failed; the first that fits. What a shell command printed is not searched for causes. -#}
    case
        when {{ status }} = 'rejected' then 'permission_denied'
        when contains({{ tool_denial_kind }}, 'hook') then 'blocked_by_hook'
        when {{ is_denied_by_rule(tool_denial_kind) }} then 'permission_denied'
        when {{ error_text }} is null then 'other'
        when regexp_matches({{ error_text }}, '(?i)cancelled: parallel tool call|sibling tool call errored') then 'cancelled_parallel_call'
        when regexp_matches({{ error_text }}, '(?i)file has not been read yet|has been (?:unexpectedly )?modified since') then 'file_not_read_first'
        when regexp_matches({{ error_text }}, '(?i)string to replace not found|string not found|found \d+ matches of the string|old_string and new_string are') then 'string_not_found'
        when regexp_matches({{ error_text }}, '(?i)inputvalidationerror|no such tool available|exceeds maximum allowed (?:size|tokens)|required parameter') then 'validation'
        when regexp_matches({{ error_text }}, '(?i)^[^\n]*(?:blocked by [^\n]*hook|hook (?:blocked|error|denied)|pretooluse:)') then 'blocked_by_hook'
        when
            regexp_matches({{ error_text }}, '(?i)^[^\n]*(?:permission to use|requested permissions|haven[''’]t granted|has been denied|user doesn[''’]t want to take this action)')
            then 'permission_denied'
        when regexp_matches({{ error_text }}, '(?i)^[^\n]*(?:timed? ?out|timeout)') then 'timeout'
        when {{ tool_name }} in ('Bash', 'PowerShell', 'BashOutput') or regexp_matches({{ error_text }}, '(?i)^\s*(?:error:\s*)?exit code \d+') then 'command_failed'
        when regexp_matches({{ error_text }}, '(?i)file does not exist|no such file or directory|enoent|(?:path|directory) does not exist|eisdir') then 'file_not_found'
        when regexp_matches({{ error_text }}, '(?i)econn|enotfound|socket|network|fetch failed|unable to (?:fetch|connect)|status code [45]\d\d|getaddrinfo') then 'network'
        else 'other'
    end
{%- endmacro %}

{% macro error_text(error_text) -%}
    {#- What a person needs to recognise an error: its first lines without markup, at most 200 characters. -#}
    nullif(
        left(trim(regexp_replace(regexp_replace({{ error_text }}, '</?tool_use_error>', '', 'g'), '\s+', ' ', 'g')), 200),
        ''
    )
{%- endmacro %}

{% macro normalized_path(path) -%}
    {#- A path as one spelling: the drive letter's case is no difference, nor is a slash at the end. -#}
    coalesce(
        nullif(
            rtrim(
                case
                    when regexp_matches({{ path }}, '^[a-z]:') then upper(left({{ path }}, 1)) || substr({{ path }}, 2)
                    else {{ path }}
                end,
                '/\'
            ),
            ''
        ),
        {{ path }}
    )
{%- endmacro %}

{% macro worktree_repository(path) -%}
    {#- The repository a git worktree's folder belongs to, where the layout says which; any other folder stays itself. -#}
    regexp_replace(
        regexp_replace(
            regexp_replace({{ path }}, '[/\\]\.claude[/\\]worktrees[/\\].*$', ''),
            '([/\\][^/\\]+)(?:-worktrees|\.worktrees)[/\\].*$',
            '\1'
        ),
        '([/\\][^/\\]+)[/\\]\.worktrees[/\\][^/\\]+(?:[/\\].*)?$',
        '\1'
    )
{%- endmacro %}

{% macro worktree_repository_name(path) -%}
    {#- The name of the repository a worktree's folder belongs to, where the layout gives no more; else null. -#}
    nullif(
        coalesce(
            nullif(regexp_extract({{ path }}, '^(?:[A-Za-z]:)?[/\\](?:(?:home|Users)[/\\][^/\\]+|root)[/\\]\.worktrees[/\\]([^/\\]+)[/\\][^/\\]', 1), ''),
            nullif(regexp_extract({{ path }}, '[/\\]conductor[/\\]workspaces[/\\]([^/\\]+)[/\\][^/\\]', 1), ''),
            nullif(regexp_extract({{ path }}, '[/\\]\.codex[/\\]worktrees[/\\][^/\\]+[/\\]([^/\\]+)', 1), '')
        ),
        ''
    )
{%- endmacro %}

{% macro home_folder(path) -%}
    {#- The home folder a path lies in; null where it lies in none. -#}
    nullif(
        regexp_extract(
            {{ normalized_path(path) }},
            '^(?:[A-Z]:)?[/\\](?:(?:home|Users)[/\\][^/\\]+|root)'
        ),
        ''
    )
{%- endmacro %}

{% macro last_folder(path) -%}
    nullif(regexp_extract(rtrim({{ path }}, '/\'), '([^/\\]+)$', 1), '')
{%- endmacro %}

{% macro is_main_transcript(source_file) -%}
    {#- A session's own transcript, not a sub-agent's. -#}
    {{ source_file }} is not null
    and not regexp_matches({{ source_file }}, '(?:[/\\]subagents[/\\]|(?:^|[/\\])agent-[^/\\]*$)')
{%- endmacro %}

{% macro author_of_text(text) -%}
    {#- Who wrote a user line, as far as its text tells; null for anything a person may have typed. -#}
    {%- set head = "left(" ~ text ~ ", 300)" -%}
    case
        when regexp_matches({{ head }}, '^\s*\[Request interrupted by user') then 'interrupt'
        when regexp_matches({{ head }}, '^\s*<command-(?:name|message)>') then 'slash_command'
        when regexp_matches({{ head }}, '^\s*(?:Another Claude session sent a message:\s*)?<teammate-message\b') then 'teammate_message'
        when regexp_matches({{ head }}, '^\s*<scheduled-task\b') then 'scheduled'
        when regexp_matches({{ head }}, '^\s*<channel\s[^>]*source=') then 'channel'
        when regexp_matches({{ head }}, '^\s*<bash-input>') then 'shell_command'
        when regexp_matches({{ head }}, '^\s*This session is being continued from a previous conversation') then 'compact_summary'
        when regexp_matches({{ head }}, '^\s*<(?:local-command-(?:stdout|stderr|caveat)|bash-(?:stdout|stderr)|task-notification)>') then 'command_output'
        -- what Claude Code reminds of stands before what a person typed at times
        when
            regexp_matches({{ head }}, '^\s*<system-reminder>')
            and not regexp_matches({{ head }}, '^\s*(?:<system-reminder>[\s\S]*?</system-reminder>\s*)+[^<\s]')
            then 'meta'
    end
{%- endmacro %}

{% macro written_by_text(text) -%}
    {#- What a Write did, as its result's text says: `create`, `overwrite`, or null. -#}
    case
        when regexp_matches({{ text }}, '^\s*(?:<[^>]*>\s*)?File created successfully') then 'create'
        when regexp_matches({{ text }}, '^\s*The file [^\n]* has been (?:updated|overwritten)') then 'overwrite'
    end
{%- endmacro %}
