"""Transcripts as a stranger would write them: every field that can be shown holds something that wants to run."""

from __future__ import annotations

import json
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


def write_hostile_projects(root: Path) -> None:
    """Two sessions with prompts, responses, tool calls that work and fail, edits, a commit, an unknown model."""
    name = "-home-ada-<img src=x onerror=alert(5)>'\x1b[31m"
    for number in range(2):
        folder = root / f"{name}{number}"
        folder.mkdir(parents=True)
        lines = [json.dumps(entry, ensure_ascii=number == 0) for entry in _session(number)]
        (folder / f"{_session_id(number)}.jsonl").write_text(
            "\n".join([*lines, '{"type": "user", "torn\x1b[31m']) + "\n"
        )


def _session_id(number: int) -> str:
    return f"s{number}'\";--<img src=x onerror=alert(6)>"


def _session(number: int) -> list[dict[str, Any]]:
    session = f"{_session_id(number)}{TERMINAL}"
    common = {
        "sessionId": session,
        "cwd": f"/home/{hostile('cwd')}",
        "gitBranch": hostile("branch"),
        "version": hostile("version"),
        "userType": hostile("user"),
        "isSidechain": False,
    }
    entries: list[dict[str, Any]] = [
        {"type": "summary", "summary": hostile("summary"), "leafUuid": f"{number}-u-0"},
        {"type": "ai-title", "aiTitle": hostile("title"), "sessionId": session},
        {
            "type": hostile("type"),
            "uuid": f"{number}-x",
            "timestamp": "2026-08-03T09:00:00.000Z",
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
    ]
    for step, tool in enumerate(tools * 2):
        minute = f"{10 + step:02d}"
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
                "timestamp": f"2026-08-03T09:{minute}:00.000Z",
                "message": {"role": "user", "content": hostile("prompt")},
                **common,
            },
            {
                "type": "assistant",
                "uuid": f"{number}-a-{step}",
                "parentUuid": f"{number}-u-{step}",
                "timestamp": f"2026-08-03T09:{minute}:10.000Z",
                "requestId": f"req_{number}_{step}",
                "message": {
                    "id": f"msg_{number}_{step}",
                    "role": "assistant",
                    "model": "claude-opus-4-6" if step % 2 else hostile("model"),
                    "content": [{"type": "tool_use", "id": f"t{number}-{step}", "name": tool, "input": given}],
                    "stop_reason": hostile("stop"),
                    "usage": {
                        "input_tokens": 10,
                        "output_tokens": 100 + step,
                        "cache_read_input_tokens": 1000,
                        "service_tier": hostile("tier"),
                    },
                },
                **common,
            },
            {
                "type": "user",
                "uuid": f"{number}-r-{step}",
                "parentUuid": f"{number}-a-{step}",
                "timestamp": f"2026-08-03T09:{minute}:20.000Z",
                "message": {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": f"t{number}-{step}",
                            "is_error": step % 3 == 0,
                            "content": hostile("result"),
                        }
                    ],
                },
                "toolUseResult": {"stdout": hostile("stdout"), "filePath": f"/home/{hostile('file')}.py"},
                **common,
            },
        ]
    return entries
