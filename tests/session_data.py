"""A published history of a few sessions, for the tests of sessions: search, timeline, pages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analytics.settings import Settings, load_settings
from hostile import write_hostile_projects

MODEL = "claude-opus-4-6"


def build(root: Path, **settings: Any) -> Settings:
    """Write the transcripts below `root`, and publish what they say."""
    from analytics.raw.extract import extract
    from analytics.warehouse.load import load
    from analytics.warehouse.publish import publish
    from analytics.warehouse.transform import transform

    write_projects(root / "projects")
    made = load_settings(data_dir=root / "data", claude_projects_dir=root / "projects", **settings)
    extract(made, progress=False)
    load(made)
    transform(made)
    publish(made)
    return made


def write_projects(root: Path) -> None:
    write_hostile_projects(root)
    folder = root / "-home-ada-app"
    (folder / "work" / "subagents").mkdir(parents=True)
    _write(folder / "work.jsonl", _work())
    _write(folder / "work" / "subagents" / "agent-a1.jsonl", _agent())
    _write(folder / "first.jsonl", _once())
    # the fork holds the lines of the original, and one prompt more
    copied = [{**line, "sessionId": "fork"} for line in _once()]
    _write(folder / "fork.jsonl", [*copied, *_said("fork", "2026-05-03", "f", "and now in French", "Voilà")])
    _write(folder / "shipped.jsonl", _shipped())
    # a writer that escapes every letter
    escaped = json.dumps(_once("escaped", "2026-05-04")[0]).replace(
        "ask once", "".join(f"\\u{ord(char):04x}" for char in "pamplemousse")
    )
    answer = json.dumps(_once("escaped", "2026-05-04")[1])
    (folder / "escaped.jsonl").write_text(f"{escaped}\n{answer}\n")


def _write(path: Path, lines: list[dict[str, Any]], *, ascii_only: bool = True) -> None:
    path.write_text("".join(json.dumps(line, ensure_ascii=ascii_only) + "\n" for line in lines))


def entry(session: str, kind: str, uuid: str, at: str, message: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    """A line of a transcript."""
    base = {"type": kind, "uuid": f"{session}-{uuid}", "sessionId": session, "timestamp": at, "cwd": "/home/ada/app"}
    return {
        **base,
        "gitBranch": "feat/search",
        "version": "2.1.200",
        **({"message": message} if message else {}),
        **more,
    }


def answer(session: str, key: str, content: list[dict[str, Any]], **usage: int) -> dict[str, Any]:
    """An assistant's message."""
    used = {"input_tokens": 1000, "output_tokens": 1000, **usage}
    return {
        "id": f"msg_{session}_{key}",
        "role": "assistant",
        "model": MODEL,
        "stop_reason": "end_turn",
        "content": content,
        "usage": used,
    }


def text(words: str) -> list[dict[str, Any]]:
    """A block of text."""
    return [{"type": "text", "text": words}]


def _said(session: str, day: str, key: str, prompt: str, reply: str) -> list[dict[str, Any]]:
    said = answer(session, key, text(reply))
    return [
        entry(session, "user", f"{key}1", f"{day}T09:00:00.000Z", {"role": "user", "content": prompt}),
        entry(session, "assistant", f"{key}2", f"{day}T09:00:10.000Z", said),
    ]


def _once(session: str = "first", day: str = "2026-05-02") -> list[dict[str, Any]]:
    return _said(session, day, "o", "ask once", "Grüße, 😀 and the path C:\\temp\\new")


def _shipped() -> list[dict[str, Any]]:
    """A session that used a skill and an MCP server, and made a pull request."""
    calls = [
        ("Skill", {"skill": "shop:deploy"}, {"attributionSkill": "shop:deploy", "attributionPlugin": "shop"}),
        ("mcp__tracker__list_issues", {"label": "bug"}, {"attributionMcpServer": "tracker"}),
        ("Bash", {"command": "gh pr create --title Cart"}, {}),
    ]
    lines = [entry("shipped", "user", "p", "2026-04-07T08:00:00.000Z", {"role": "user", "content": "ship it"})]
    for number, (name, given, more) in enumerate(calls):
        use = [{"type": "tool_use", "id": f"s{number}", "name": name, "input": given}]
        result = [{"type": "tool_result", "tool_use_id": f"s{number}", "content": "https://git.example/pull/7"}]
        at = f"2026-04-07T08:0{number + 1}"
        said = answer("shipped", str(number), use)
        lines.append(entry("shipped", "assistant", f"a{number}", f"{at}:00.000Z", said, **more))
        lines.append(entry("shipped", "user", f"r{number}", f"{at}:30.000Z", {"role": "user", "content": result}))
    return lines


def _work() -> list[dict[str, Any]]:
    """Two turns: an edit and a failing command, then a sub-agent."""

    def at(minute: int) -> str:
        return f"2026-05-01T10:{minute:02}:00.000Z"

    def use(key: str, name: str, given: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"type": "tool_use", "id": key, "name": name, "input": given}]

    def result(key: str, said: str, *, is_error: bool = False) -> dict[str, Any]:
        block = {"type": "tool_result", "tool_use_id": key, "content": said, "is_error": is_error}
        return {"role": "user", "content": [block]}

    edit = {"file_path": "/home/ada/app/shop/cart.py", "old_string": "total = 1", "new_string": "total = 2"}
    patch = [{"oldStart": 7, "oldLines": 1, "newStart": 7, "newLines": 1, "lines": ["-total = 1", "+total = 2"]}]
    prompt = 'say "hello world" in\ntwo lines'
    thinking = [{"type": "thinking", "thinking": "Perhaps umlauts: ä"}]
    command = use("t2", "Bash", {"command": "pytest -k zwetschge"})
    agent = use("t3", "Agent", {"description": "Look", "prompt": "p", "subagent_type": "Explore"})
    compacted = {"trigger": "auto", "preTokens": 150_000}
    found = {"agentId": "a1", "status": "completed"}

    def line(number: int, minute: int, kind: str, message: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
        return entry("work", kind, str(number), at(minute), message, **more)

    return [
        {"type": "custom-title", "customTitle": "Mend the cart", "sessionId": "work"},
        line(1, 0, "user", {"role": "user", "content": prompt}),
        line(2, 1, "assistant", answer("work", "2", thinking)),
        line(3, 1, "assistant", answer("work", "2", use("t1", "Edit", edit))),
        line(4, 2, "user", result("t1", "The file was updated"), toolUseResult={"structuredPatch": patch}),
        line(5, 3, "assistant", answer("work", "5", command)),
        line(6, 5, "user", result("t2", "Exit code 1\n1 failed: kaboom", is_error=True)),
        line(7, 6, "assistant", answer("work", "7", text("The first line.\nThe second line."))),
        line(8, 10, "user", {"role": "user", "content": "now look around"}),
        line(9, 11, "assistant", answer("work", "9", agent)),
        line(10, 14, "user", result("t3", "Found it"), toolUseResult=found),
        line(11, 15, "system", None, subtype="compact_boundary", compactMetadata=compacted),
        line(12, 16, "assistant", answer("work", "12", text("All done."), input_tokens=5000)),
    ]


def _agent() -> list[dict[str, Any]]:
    side = {"isSidechain": True, "agentId": "a1"}
    task = {"role": "user", "content": "Look around thoroughly for quinces"}
    said = answer("work", "a1", text("The quince is in the cellar"), output_tokens=200_000)
    return [
        entry("work", "user", "s1", "2026-05-01T10:12:00.000Z", task, **side),
        entry("work", "assistant", "s2", "2026-05-01T10:13:00.000Z", said, **side),
    ]
