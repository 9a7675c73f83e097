"""Tool calls of every kind: what Claude asks for, and what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from transcript_generator import pools
from transcript_generator import vocabulary as words
from transcript_generator.conversation import Conversation
from transcript_generator.transcript import Chain
from transcript_generator.usage import Call

Tool = Callable[[Conversation, Chain], Call]
dumps = orjson.dumps
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="


def pick(s: Conversation, items: Any) -> Any:
    """One of the items."""
    return items[int(s.rnd() * len(items))]


def file_of(s: Conversation) -> tuple[str, str]:
    """Path and language of a file of the project."""
    path, language = pick(s, s.project.files)
    return f"{s.project.path}/{path}", language


def command_of(s: Conversation) -> str:
    """A shell command as Claude writes them."""
    command = pick(s, s.project.commands)
    roll = s.rnd()
    if roll < 0.30:
        return f"{command} 2>&1 | tail -{5 + int(s.rnd() * 60)}"
    if roll < 0.45:
        return f"cd {s.project.path} && {command}"
    if roll < 0.55:
        return f"CI=1 {command}"
    if roll < 0.80:
        return f'grep -rn "{pick(s, words.PATTERNS)}" {pick(s, s.project.files)[0]} | head -{3 + int(s.rnd() * 40)}'
    return command


def bash(s: Conversation, chain: Chain) -> Call:
    """A command that succeeds; now and then in the background."""
    asked = s.era.has_attachments and s.rarely(0.02)
    # a command that takes long goes there by itself
    moved = s.era.has_attachments and not chain.is_side and s.rarely(0.01)

    def complete(call: Call) -> None:
        output = pools.outputs(s.bulk)[int(s.rnd() * 64)]
        more = b',"backgroundTaskId":"b1en6q7cs"' if asked or moved else b""
        outcome = b'{"stdout":%b,"stderr":"","interrupted":false,"isImage":false%b}' % (output, more)
        s.result(chain, call, output, outcome)

    tool_input: dict[str, Any] = {"command": command_of(s), "description": pick(s, words.REMARKS)}
    if asked:
        tool_input["run_in_background"] = True
    call = Call("Bash", dumps(tool_input), complete)
    call.is_background = asked or moved
    return call


def interrupted_bash(s: Conversation, chain: Chain) -> Call:
    """A command that the user stops while it runs."""

    def complete(call: Call) -> None:
        s.tick(5_000, 60_000)
        outcome = b'{"stdout":"","stderr":"","interrupted":true,"isImage":false}'
        # without toolUseResult nothing tells it from a success
        status = "success" if chain.is_side else "interrupted"
        if s.rarely(0.5):  # the exit code comes first
            text = dumps("Exit code 137\n[Request interrupted by user for tool use]")
            s.result(chain, call, text, dumps("Error: Exit code 137"), status="interrupted", is_error=True)
            return
        s.result(chain, call, b'"Command was aborted before completion"', outcome, status=status)

    return Call("Bash", dumps({"command": f"npm run watch -- --port {3000 + int(s.rnd() * 900)}"}), complete)


def git(s: Conversation, chain: Chain) -> Call:
    """Commits and pull requests inside compound commands, and what only looks like one."""
    message, number = pick(s, words.COMMIT_MESSAGES), int(s.rnd() * 1_000)
    command, commits, pull_requests = pick(
        s,
        [
            (f'git add -A && git commit -m "{message} ({number})"', 1, 0),
            (f"cd {s.project.path} && git add . && git commit -q -m '{message}'", 1, 0),
            ("git commit --amend --no-edit", 1, 0),
            (f"git -C {s.project.path} commit -am '{message} #{number}'", 1, 0),
            (f"git push -u origin HEAD && gh pr create --title '{message}' --body 'Closes #{number}'", 0, 1),
            (f"git log --oneline --grep commit -n {number % 20 + 1}", 0, 0),
            (f"echo 'git commit' is next; git diff --stat HEAD~{number % 5}", 0, 0),
        ],
    )

    def complete(call: Call) -> None:
        output = dumps(f"[{s.branch} {number:07x}] {message}\n 2 files changed, 14 insertions(+), 3 deletions(-)")
        s.result(chain, call, output, b'{"stdout":%b,"stderr":"","interrupted":false,"isImage":false}' % output)
        s.count_git(call, commits=commits, pull_requests=pull_requests)
        # a pull request that is looked at is linked too
        if s.era.has_attachments and (pull_requests or s.rarely(0.1)):
            repository = f"ada/{s.project.name}"
            s.own.pull_request_links.add(f"https://github.com/{repository}/pull/{number}")
            s.loose(
                {
                    "type": "pr-link",
                    "sessionId": s.id,
                    "prNumber": number,
                    "prUrl": f"https://github.com/{repository}/pull/{number}",
                    "prRepository": repository,
                    "timestamp": s.now(),
                }
            )

    return Call("Bash", dumps({"command": command, "description": "Commit"}), complete)


def read(s: Conversation, chain: Chain) -> Call:
    """A file, or some of its lines."""
    path, language = file_of(s)
    tool_input: dict[str, Any] = {"file_path": path}
    if s.rnd() < 0.85:
        tool_input |= {"offset": 1 + int(s.rnd() * 900), "limit": pick(s, [40, 80, 120, 200])}

    def complete(call: Call) -> None:
        if s.rnd() < 0.01:
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            file = {"base64": PIXEL, "type": "image/png", "originalSize": 96}
            content = dumps([{"type": "image", "source": source}])
            s.result(chain, call, content, dumps({"type": "image", "file": file}))
            return
        text = pools.numbered_files(s.bulk)[int(s.rnd() * 48)]
        outcome = b'{"type":"text","file":{"filePath":%b,"content":%b,"numLines":5,"startLine":1,"totalLines":400}}'
        s.result(chain, call, text, outcome % (dumps(path), text))

    return Call("Read", dumps(tool_input), complete, "read", (path, language))


def _patch(s: Conversation) -> tuple[list[dict[str, Any]], int, int]:
    """A structuredPatch with its added and removed lines."""
    hunks, added, removed = [], 0, 0
    for number in range(1 if s.rnd() < 0.8 else 2):
        plus, minus = 1 + int(s.rnd() * s.rnd() * 30), int(s.rnd() * 8)
        start = 10 + number * 100
        code = words.CODE[int(s.rnd() * 10) :]
        lines = [
            " " + code[0],
            *["-" + line for line in (code * 2)[:minus]],
            *["+" + line for line in (code * 4)[:plus]],
        ]
        hunks.append(
            {
                "oldStart": start,
                "oldLines": 2 + minus,
                "newStart": start,
                "newLines": 2 + plus,
                "lines": [*lines, " " + code[1]],
            }
        )
        added, removed = added + plus, removed + minus
    return hunks, added, removed


def edit(s: Conversation, chain: Chain) -> Call:
    """An edit; of an old version sometimes several at once."""
    path, language = file_of(s)
    old, new = pick(s, words.CODE[:4]), f"{pick(s, words.CODE[5:])} # {int(s.rnd() * 10_000)}"
    tool = "MultiEdit" if s.era.subagents == "inline" and s.rnd() < 0.3 else "Edit"
    tool_input: dict[str, Any] = {"file_path": path}
    change = {"old_string": old, "new_string": new, "replace_all": False}
    tool_input |= {"edits": [change, change]} if tool == "MultiEdit" else change

    def complete(call: Call) -> None:
        patch, added, removed = _patch(s)
        outcome = {
            "filePath": path,
            "oldString": old,
            "newString": new,
            "originalFile": None,
            "structuredPatch": patch,
            "userModified": False,
            "replaceAll": False,
        }
        if chain.is_side:  # no patch is written for side chains
            added = removed = 0
        text = dumps(f"The file {path} has been updated successfully.")
        s.result(chain, call, text, dumps(outcome), added=added, removed=removed)

    return Call(tool, dumps(tool_input), complete, "edit", (path, language))


def write(s: Conversation, chain: Chain) -> Call:
    """A new file, or one overwritten."""
    path, language = file_of(s)
    is_new = not s.rarely(0.2) if chain.is_side else s.rnd() < 0.7
    if is_new:
        stem, dot, suffix = path.rpartition(".")
        path = f"{stem}_{int(s.rnd() * 10_000)}{dot}{suffix}" if dot and "/" not in suffix else path
    lines = 1 + int(s.rnd() * 60)
    content = "\n".join((words.CODE * 4)[:lines]) + ("\n" if s.rnd() < 0.8 else "")
    # a last newline ends a line and opens no other; an empty last line without one is none
    number_of_lines = content.count("\n") + (not content.endswith("\n")) if content else 0

    def complete(call: Call) -> None:
        if is_new:
            outcome: dict[str, Any] = {"type": "create", "filePath": path, "content": content, "structuredPatch": []}
            text = dumps(f"File created successfully at: {path}")
            s.result(chain, call, text, dumps(outcome), added=number_of_lines)
            return
        patch, added, removed = _patch(s)
        if chain.is_side:  # only the text says what was done
            added = removed = 0
        outcome = {"type": "update", "filePath": path, "content": content, "structuredPatch": patch}
        text = dumps(f"The file {path} has been updated successfully.")
        s.result(chain, call, text, dumps(outcome), added=added, removed=removed)

    tool_input = dumps({"file_path": path, "content": content})
    return Call("Write", tool_input, complete, "create" if is_new else "overwrite", (path, language))


def notebook(s: Conversation, chain: Chain) -> Call:
    """A cell of a notebook: no patch says how many lines."""
    path = f"{s.project.path}/analysis/explore.ipynb"
    tool_input = {"notebook_path": path, "cell_id": f"c{int(s.rnd() * 40)}", "new_source": pick(s, words.CODE)}

    def complete(call: Call) -> None:
        outcome = {"cell_type": "code", "language": "python", "edit_mode": "replace", "error": ""}
        s.result(chain, call, b'"Updated cell"', dumps(tool_input | outcome))

    return Call("NotebookEdit", dumps(tool_input), complete, "edit", (path, "Jupyter"))


def _simple(tool: str, tool_input: dict[str, Any], content: Any, outcome: Any) -> Tool:
    """A tool whose calls all look alike; None in the input becomes a number."""

    def build(s: Conversation, chain: Chain) -> Call:
        values = {key: int(s.rnd() * 500) if value is None else value for key, value in tool_input.items()}
        values = {key: pick(s, value) if isinstance(value, tuple) else value for key, value in values.items()}

        def complete(call: Call) -> None:
            s.result(chain, call, dumps(content), dumps(outcome))

        return Call(tool, dumps(values), complete)

    return build


grep = _simple(
    "Grep",
    {"pattern": tuple(words.PATTERNS), "output_mode": "content", "-n": True, "head_limit": None},
    "Found 3 files\nsrc/billing/api.py\nsrc/billing/models.py\ntests/test_invoices.py",
    {"mode": "content", "numFiles": 3, "filenames": [], "content": "", "numLines": 3},
)
glob = _simple(
    "Glob",
    {"pattern": ("**/*.py", "web/**/*.tsx", "docs/*.md", "**/*test*")},
    "src/billing/api.py\nsrc/billing/models.py",
    {"filenames": ["src/billing/api.py", "src/billing/models.py"], "durationMs": 12, "numFiles": 2, "truncated": False},
)
web_fetch = _simple(
    "WebFetch",
    {"url": ("https://docs.example.org/webhooks", "https://example.org/changelog"), "prompt": "What changed?"},
    "The retry header is documented.",
    {"url": "https://docs.example.org/webhooks", "code": 200, "codeText": "OK", "bytes": 20_342, "durationMs": 2_210},
)
web_search = _simple(
    "WebSearch",
    {"query": tuple(words.QUERIES)},
    "Web search results",
    {"query": "", "results": [], "durationSeconds": 5.8},
)
todo_write = _simple(
    "TodoWrite",
    {"todos": [{"content": "Fix it", "status": "in_progress", "activeForm": "Fixing it"}], "n": None},
    "Todos have been modified successfully.",
    {"oldTodos": [], "newTodos": []},
)
task_create = _simple(
    "TaskCreate",
    {"subject": ("Reproduce", "Fix", "Test", "Document"), "description": "One step"},
    "Task #1 created successfully: Fix",
    {"task": {"id": "1", "subject": "Fix"}},
)
task_update = _simple(
    "TaskUpdate",
    {"taskId": None, "status": ("in_progress", "completed")},
    "Updated task #1 status",
    {"success": True, "taskId": "1", "updatedFields": ["status"]},
)
ask_user = _simple(
    "AskUserQuestion",
    {"questions": [{"question": "Round per line or once?", "header": "Rounding", "options": [], "multiSelect": False}]},
    'User has answered your questions: "Round per line or once?"="Once"',
    {"questions": [], "answers": {"Round per line or once?": "Once"}},
)
exit_plan = _simple(
    "ExitPlanMode",
    {"plan": "# Plan\n\n1. Reproduce\n2. Fix\n3. Test"},
    "User has approved your plan. You can now start coding.",
    {"plan": "# Plan", "isAgent": False, "filePath": "/home/ada/.claude/plans/quiet-otter.md"},
)


def skill(s: Conversation, chain: Chain) -> Call:
    """A skill, of a plugin at times: what follows in the turn is spent on it."""
    name = pick(s, ("release-notes", "house:commit-style"))

    def complete(call: Call) -> None:
        s.result(chain, call, dumps(f"Launching skill: {name}"), dumps({"success": True, "commandName": name}))
        if not chain.is_side and s.era.marks_origin:
            s.skill = name

    call = Call("Skill", dumps({"skill": name}), complete)
    call.attributed = (("skill", name), *([("plugin", "house")] if name.startswith("house:") else []))
    return call


tool_search = _simple(
    "ToolSearch",
    {"query": ("select:TaskCreate", "select:WebFetch"), "max_results": None},
    [{"type": "tool_reference", "tool_name": "TaskCreate"}],
    {"matches": ["TaskCreate"], "total_deferred_tools": 44},
)


def server_tool(s: Conversation, chain: Chain) -> Call:
    """A tool of an MCP server: its result is a list of blocks."""

    def complete(call: Call) -> None:
        blocks = b'[{"type":"text","text":"[]"}]'
        s.result(chain, call, blocks, blocks)

    call = Call(pick(s, words.SERVER_TOOLS), dumps({"query": pick(s, words.QUERIES)}), complete)
    call.attributed = (("mcp_server", call.tool.split("__")[1]),)
    return call


def failing(s: Conversation, chain: Chain) -> Call:
    """A call that fails, in one of the ways calls fail."""
    error_class, tools, text = pick(s, words.ERRORS)
    tool = pick(s, tools)
    path, language = file_of(s)
    number = int(s.rnd() * 2_000)
    inputs: dict[str, dict[str, Any]] = {
        "Bash": {"command": f"pytest -x tests/test_invoices.py -k case_{number}"},
        "Edit": {"file_path": path, "old_string": f"total_{number}", "new_string": "total"},
        "Write": {"file_path": path, "content": f"# {number}\n"},
        "Read": {"file_path": path, "offset": number, "limit": 7},
    }
    tool_input = inputs.get(tool, {"argument": number})
    operation = {"Edit": "edit", "Write": "create", "Read": "read"}.get(tool)

    def complete(call: Call) -> None:
        # on error the outcome is a string
        outcome = dumps(f"Error: {text}")
        s.result(chain, call, dumps(text), outcome, status="error", error_class=error_class)

    return Call(tool, dumps(tool_input), complete, operation, (path, language))


def rejected(s: Conversation, chain: Chain) -> Call:
    """A call the user does not allow."""
    if s.rnd() < 0.5:
        call = edit(s, chain)
    else:
        call = Call("Bash", dumps({"command": f"rm -rf build/{int(s.rnd() * 100)}"}), bash(s, chain).complete)

    def complete(call: Call) -> None:
        s.tick(1_000, 30_000)
        outcome = b'"User rejected tool use"'
        text = dumps(words.DENIAL if s.rarely(0.3) else words.REJECTION)
        s.result(chain, call, text, outcome, status="rejected", error_class="permission_denied")

    call.complete, call.is_background = complete, False
    return call
