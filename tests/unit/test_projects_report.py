"""Aliases that `claude-analytics projects` proposes. Without these, two projects of one name would be called one, or a
project that moved would stay two without a word.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from analytics.errors import ConfigError
from analytics.reports.projects import proposals
from analytics.settings import load_settings
from analytics.warehouse.mappings import people, project_aliases


def row(group: str, last: str = "2026-01-01") -> dict[str, Any]:
    return {"project_group": group, "last_active_at": last}


def test_aliases_are_proposed(tmp_path: Path) -> None:
    """A folder that is gone goes to the one of its name that is there, one of the same remote to the newest."""
    for name, url in (("here/shop", "git@example.com:me/shop.git"), ("clone", "https://example.com/me/shop")):
        git = tmp_path / name / ".git"
        git.mkdir(parents=True)
        (git / "config").write_text(f'[core]\n\tbare = false\n[remote "origin"]\n\turl = {url}\n[branch "main"]\n')
    here, clone = str(tmp_path / "here/shop"), str(tmp_path / "clone")
    rows = [
        row(here, "2026-02-01"),
        row("/gone/shop"),
        row("C:\\gone\\Shop"),
        row(clone),
        row("/gone/other"),
        row("Name"),
    ]
    assert proposals(rows) == sorted([(clone, here), ("/gone/shop", here), ("C:\\gone\\Shop", here)])


def test_two_folders_of_one_name_that_are_there_are_two_projects(tmp_path: Path) -> None:
    for name in ("a/app", "b/app"):
        (tmp_path / name).mkdir(parents=True)
    assert proposals([row(str(tmp_path / "a/app")), row(str(tmp_path / "b/app"))]) == []


def test_aliases_of_aliases_are_followed(tmp_path: Path) -> None:
    file = tmp_path / "aliases.csv"
    file.write_text("# moved twice\npath,project\n/a/,/b\n/b,/c\nc:\\x,Trials\n")
    assert project_aliases(load_settings(project_aliases=file)) == [
        ("/a", "/c", False),
        ("/b", "/c", False),
        ("C:\\x", "Trials", True),
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "the first line must be path,project"),
        ("path,name\n", "the first line must be path,project"),
        ("path,project\n/a\n", "line 2: 1 values"),
        ("path,project\n/a,\n", "line 2: project=''"),
        ("path,project\n/a,/b\n/a/,/c\n", "line 3: path='/a/' already stands above"),
        ("path,project\n/a,/b\n/b,/a\n", "goes in a circle"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "aliases.csv"
    file.write_text(text)
    with pytest.raises(ConfigError) as error:
        project_aliases(load_settings(project_aliases=file))
    assert named in str(error.value)
    assert str(file) in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"PEOPLE=.*people\.csv: No such file"):
        people(load_settings(people=tmp_path / "people.csv"))
