"""What reaches a terminal and a spreadsheet, from transcripts whose every field wants to drive one.

On a pseudo-terminal, as a person has it: into a pipe much is left away that a terminal would get."""

from __future__ import annotations

import json
import re

import click
import pytest
from analytics.cli import cli
from command_line import Workspace
from hostile import formulas


def leaves(command: click.Command, *path: str) -> list[tuple[list[str], click.Command]]:
    """Every command below this one, by its words."""
    if not isinstance(command, click.Group):
        return [(list(path), command)]
    return [found for name, one in command.commands.items() for found in leaves(one, *path, name)]


def offering(option: str) -> list[list[str]]:
    """Commands with that option, and the option."""
    return [[*words, option] for words, command in leaves(cli) if any(option in one.opts for one in command.params)]


def obeyed(text: str) -> list[str]:
    """Characters that a terminal would obey, but for line breaks and bold."""
    plain = re.sub(r"\x1b\[[01]m", "", text)
    return [char for char in plain if not char.isprintable() and char != "\n"]


@pytest.fixture(scope="module")
def session(workspace: Workspace) -> str:
    """The id of one of the sessions, which is hostile too."""
    return str(workspace.query("select session_id from marts.dim_sessions where session_id like 's1%'")[0][0])


def test_a_terminal_is_told_nothing(workspace: Workspace, session: str) -> None:
    reports = [words for words, _ in leaves(cli) if words[0] == "report"]
    run = workspace.runs()[0]["run_id"]
    commands = [
        ["report"],
        *reports,
        ["report", "session", session],
        ["report", "session", session, "--full"],
        *(["report", "daily", "--breakdown"], ["report", "monthly", "--compare"]),
        *offering("--json"),
        ["report", "session", session, "--json"],
        *offering("--csv"),
        *(["prices"], ["projects"], ["doctor"], ["config"], ["status"], ["status", run], ["deploy", "--print"]),
        *(["dead-letters", "list"], ["iceberg", "info"], ["iceberg", "snapshots"], ["dashboards", "check"]),
        *(["purge", "--list"], ["purge", "--session", session, "--dry-run"]),
        ["dbt", "--", "show", "--select", "dim_sessions"],
    ]
    written = workspace.on_a_terminal(*commands)
    assert [words for words, text in written.items() if not text.strip()] == []
    assert {words: found for words, text in written.items() if (found := obeyed(text))} == {}
    assert sum("<img src=x" in text for text in written.values()) > 9
    for words, text in written.items():
        if words.endswith("--json"):
            assert isinstance(json.loads(text), dict | list)
        elif words.endswith("--csv"):
            assert formulas(text) == []


def test_a_run_tells_a_terminal_nothing(workspace: Workspace) -> None:
    """Progress and summary."""
    written = workspace.said["pipeline"]
    # progress is drawn over and over on one line
    assert obeyed(re.sub(r"\r|\x1b\[K", "", written)) == []
    assert "<img src=x" in written
