"""Published databases for the tests of dashboards and notebooks."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import raw_tables
from analytics.cards.query import Selection
from analytics.settings import Settings, load_settings
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform

# Texts that must stay text wherever they are shown.
HOSTILE = "</script><script>alert('title')</script><img src=x onerror=alert(1)> {{date}} \u2028"


def published(folder: Path, batch: pa.Table) -> Settings:
    """Build and publish the marts of `batch` below `folder`."""
    settings = load_settings(data_dir=folder)
    raw_tables.load(settings.build_path, batch)
    transform(settings)
    publish(settings)
    return settings


def entry(kind: str, uuid: str, at: str, message: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A transcript line of session s1."""
    base = {"type": kind, "uuid": uuid, "sessionId": "s1", "timestamp": at, "cwd": "/w/<b>app</b>"}
    return {**base, "message": message, **more}


def line(document: dict[str, Any]) -> str:
    """As a transcript has it."""
    return json.dumps(document) + "\n"


def tiny_history() -> pa.Table:
    """Two responses, one of a model without a price, one tool call, and a title that tries to leave its place."""
    usage = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    call = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "ls </script>"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}

    def answer(uuid: str, model: str, content: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"msg_{uuid}",
            "role": "assistant",
            "model": model,
            "stop_reason": "end_turn",
            "content": [content],
            "usage": usage,
        }

    return raw_tables.documents(
        [
            {"type": "custom-title", "customTitle": HOSTILE, "sessionId": "s1"},
            entry("user", "u1", "2026-03-01T10:00:00.000Z", {"role": "user", "content": "fix the bug"}),
            entry("assistant", "a1", "2026-03-01T10:00:05.000Z", answer("a1", "claude-opus-4-6", call)),
            entry("user", "u2", "2026-03-01T10:00:06.000Z", {"role": "user", "content": [result]}),
            entry(
                "assistant", "a2", "2026-03-03T10:00:09.000Z", answer("a2", "<i>glm</i>", {"type": "text", "text": "x"})
            ),
        ]
    )


def selections(connection: Any) -> list[Selection]:
    """Choices of a reader that take the data apart: days, a project, a model, all of them, nothing at all."""
    first, last = connection.execute("select min(date_key), max(date_key) from dim_date").fetchone()
    if first is None:
        day = date(2026, 1, 1)
        return [Selection(), Selection(day, day, ("/none",), ("none",))]
    paths = connection.execute(
        "select project_path from dim_projects order by response_count desc, 1 limit 2"
    ).fetchall()
    names = connection.execute("select model from dim_models order by response_count desc, 1 limit 1").fetchall()
    projects, models = tuple(row[0] for row in paths), tuple(row[0] for row in names)
    month = max(first, last - timedelta(days=30))
    middle = first + (last - first) / 2
    return [
        Selection(),
        Selection(month, last),
        Selection(first, middle),
        Selection(max(first, last - timedelta(days=150)), last),
        Selection(projects=projects),
        Selection(models=models),
        Selection(middle, last, projects[:1], models),
        Selection(first, first, ("/no such project",), ("no such model",)),
    ]
