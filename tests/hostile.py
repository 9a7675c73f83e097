"""Transcripts as a stranger would write them: every field that can be shown holds something that wants to run."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

# A terminal obeys it (OSC 52 writes the clipboard, CSI, U+202E), a browser runs it, a spreadsheet computes it.
TERMINAL = "\x1b]52;c;aGk=\x07\x1b[2J\x9b8m\u202e"
PAGE = (
    "'\"><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)></svg>"
    "<meta http-equiv=refresh content='0;url=data:text/html,moved'><a href=javascript:alert(4)>x</a>"
)
FORMULA = "=1+1"


def hostile(field: str) -> str:
    """A text for `field`, by which it is found again."""
    return f"{FORMULA}{field}{TERMINAL}{PAGE}"


def write_hostile_projects(root: Path, day: str = "2026-08-03") -> None:
    """Two sessions of a day: prompts, responses, tool calls that work and fail, edits, a commit, an unknown model."""
    name = "-home-ada-<img src=x onerror=alert(5)>'\x1b[31m"
    for number in range(2):
        folder = root / f"{name}{number}"
        folder.mkdir(parents=True)
        lines = [json.dumps(entry, ensure_ascii=number == 0) for entry in _session(number, day)]
        (folder / f"{_session_id(number)}.jsonl").write_text(
            "\n".join([*lines, '{"type": "user", "torn\x1b[31m']) + "\n"
        )


def _session_id(number: int) -> str:
    return f"s{number}'\";--<img src=x onerror=alert(6)>"


def _session(number: int, day: str) -> list[dict[str, Any]]:
    session = f"{_session_id(number)}{TERMINAL}"
    common = {
        "sessionId": session,
        "cwd": f"/home/{hostile('cwd')}",
        "gitBranch": hostile("branch"),
        "version": hostile("version"),
        "userType": hostile("user"),
        "entrypoint": hostile("entrypoint"),
        "isSidechain": False,
    }
    entries: list[dict[str, Any]] = [
        {"type": "summary", "summary": hostile("summary"), "leafUuid": f"{number}-u-0"},
        {"type": "ai-title", "aiTitle": hostile("title"), "sessionId": session},
        {
            "type": hostile("type"),
            "uuid": f"{number}-x",
            "timestamp": f"{day}T09:00:00.000Z",
            **common,
        },
    ]
    tools = [
        hostile("tool"),
        f"mcp__{hostile('server')}__{hostile('method')}",
        "Bash",
        "Edit",
        "Skill",
        "Task",
        "WebFetch",
        *(["Bash"] * 4),  # a call that fails again and again
    ]
    for step, tool in enumerate(tools * 2):
        minute = f"{10 + step:02d}"
        odd = PAGE if step == 1 else ""  # in ids, which stand in addresses
        given = {
            "command": f"git commit -m {hostile('command')}",
            "file_path": f"/home/{hostile('file')}.py",
            "skill": hostile("skill"),
            "subagent_type": hostile("agent"),
            "url": f"https://{hostile('url')}",
            "description": hostile("description"),
        }
        entries += [
            {
                "type": "user",
                "uuid": f"{number}-u-{step}",
                "timestamp": f"{day}T09:{minute}:00.000Z",
                "message": {"role": "user", "content": hostile("prompt")},
                **common,
            },
            {
                "type": "assistant",
                "uuid": f"{number}-a-{step}{odd}",
                "parentUuid": f"{number}-u-{step}",
                "timestamp": f"{day}T09:{minute}:10.000Z",
                "requestId": f"req_{number}_{step}{odd}",
                "effort": hostile("effort"),
                "attributionSkill": hostile("used skill"),
                "attributionPlugin": hostile("plugin"),
                "attributionMcpServer": hostile("mcp server"),
                "advisorModel": hostile("advisor"),
                "message": {
                    "id": f"msg_{number}_{step}{odd}",
                    "role": "assistant",
                    "model": "claude-opus-4-6" if step % 2 else hostile("model"),
                    "content": [{"type": "tool_use", "id": f"t{number}-{step}{odd}", "name": tool, "input": given}],
                    "stop_reason": hostile("stop"),
                    "usage": {
                        "input_tokens": 10,
                        "output_tokens": 100 + step,
                        "cache_read_input_tokens": 1000,
                        "service_tier": hostile("tier"),
                        "inference_geo": hostile("geo"),
                        "iterations": [{"type": "advisor_message", "model": hostile("adviser"), "output_tokens": 9}],
                    },
                },
                **common,
            },
            {
                "type": "user",
                "uuid": f"{number}-r-{step}",
                "parentUuid": f"{number}-a-{step}{odd}",
                "timestamp": f"{day}T09:{minute}:20.000Z",
                "message": {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": f"t{number}-{step}{odd}",
                            "is_error": step % 3 == 0 or step % len(tools) > 6,
                            "content": hostile("result") * (1 if step else 60),  # a long one is folded
                        }
                    ],
                },
                "toolUseResult": {"stdout": hostile("stdout"), "filePath": f"/home/{hostile('file')}.py"},
                **common,
            },
        ]
    return entries + _around(number, session, day, common)


def _around(number: int, session: str, day: str, common: dict[str, Any]) -> list[dict[str, Any]]:
    """What Claude Code notes around a conversation: hooks, failed requests, compactions, costs, a pull request, a
    sub-agent, a fork."""

    def entry(name: str, kind: str, **more: Any) -> dict[str, Any]:
        at = f"{day}T10:{len(made):02d}:00.000Z"
        return {"type": kind, "uuid": f"{number}-{name}", "timestamp": at, **common, **more}

    def answer(name: str, **more: Any) -> dict[str, Any]:
        text = [{"type": "text", "text": hostile("answer")}, {"type": "thinking", "thinking": hostile("thought")}]
        usage = {"input_tokens": 5, "output_tokens": 7}
        message = {"id": f"msg_{name}_{number}", "role": "assistant", "model": hostile("agent model"), "content": text}
        return entry(name, "assistant", requestId=f"req_{name}_{number}", message={**message, "usage": usage}, **more)

    made: list[dict[str, Any]] = []
    hook = {"hookName": hostile("hook"), "hookEvent": "PostToolUse", "command": hostile("hook command")}
    made.append(entry("h1", "attachment", attachment={"type": "hook_success", "durationMs": 5, **hook}))
    made.append(entry("h2", "attachment", attachment={"type": "hook_blocking_error", **hook}))
    stop = {"hookInfos": [{"command": hostile("stop command"), "durationMs": 5}], "preventedContinuation": True}
    made.append(entry("h3", "system", subtype="stop_hook_summary", **stop))
    error = {"status": hostile("status"), "error": {"error": {"type": hostile("error")}}}
    made.append(entry("e1", "system", subtype="api_error", error=error, retryAttempt=1, maxRetries=10))
    failed = {"isApiErrorMessage": True, "error": hostile("failure"), "apiErrorStatus": hostile("http")}
    made.append(answer("e2", **failed))
    compaction = {"trigger": hostile("trigger"), "preTokens": 100_000, "postTokens": 5_000}
    made.append(entry("c1", "system", subtype="compact_boundary", compactMetadata=compaction, content=hostile("note")))
    made.append(entry("c2", "system", subtype=hostile("subtype"), content=hostile("system")))
    foreign = {"promptSource": hostile("source"), "origin": {"kind": hostile("origin")}}
    made.append(entry("o1", "user", message={"role": "user", "content": hostile("foreign")}, **foreign))
    queued = {"type": "queued_command", "commandMode": "prompt", "prompt": hostile("queued")}
    made.append(entry("q1", "attachment", attachment=queued))
    made.append(answer("s1", isSidechain=True, agentId=hostile("agent id")))
    forked = {"sessionId": hostile("forked session"), "messageUuid": hostile("forked message")}
    made.append(answer("f1", forkedFrom=forked))
    costs = {"totalCostUSD": 123.0, "modelUsage": {hostile("cost model"): {"costUSD": 123.0}}}
    pull = f"https://{hostile('pull request')}"
    return [
        *made,
        {"type": "cost-state", "sessionId": session, **costs},
        {"type": "pr-link", "sessionId": session, "prNumber": 1, "prUrl": pull, "prRepository": hostile("repository")},
    ]


def formulas(text: str) -> list[str]:
    """Cells of a CSV text that a spreadsheet would compute."""
    rows = list(csv.reader(io.StringIO(text)))
    assert len({len(row) for row in rows}) == 1  # a break inside a cell would make another row
    return [cell for row in rows for cell in row if re.match(r"\s*[=@]", cell)]
