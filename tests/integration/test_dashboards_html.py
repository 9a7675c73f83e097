"""The HTML report as a file. Without these, private titles could be readable by others or leave the machine, or a
report could be half written over a good one.
"""

from __future__ import annotations

import re
import stat
from pathlib import Path

import dashboard_data
import pytest
import raw_tables
from analytics.cards.model import load_dashboards
from analytics.errors import AnalyticsError
from analytics.settings import load_settings
from analytics.web import html
from click.testing import CliRunner


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = dashboard_data.published(tmp_path_factory.mktemp("tiny"), dashboard_data.tiny_history())
    return html.render(settings)


def test_report_is_for_its_owner_only(report: Path) -> None:
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert stat.S_IMODE(report.parent.stat().st_mode) & 0o077 == 0
    assert [path.name for path in report.parent.iterdir()] == ["index.html"]


def test_report_may_not_reach_the_network(report: Path) -> None:
    text = report.read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', text).group(1).replace("&#x27;", "'")
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy
    assert "'unsafe-inline'" not in policy.partition("script-src")[2]
    head = text.partition("<script")[0]
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", head)


def test_report_holds_every_dashboard_and_no_way_out_of_its_scripts(report: Path) -> None:
    text = report.read_text()
    for board in load_dashboards():
        assert f'data-tab="{board.key}"' in text
    assert text.count("</script>") == text.count("<script")
    assert "alert('title')" in text
    assert "<script>alert" not in text


def test_report_says_what_to_do_when_nothing_is_published(tmp_path: Path) -> None:
    with pytest.raises(AnalyticsError, match=r"nothing is published at .*run `claude-analytics pipeline`"):
        html.render(load_settings(data_dir=tmp_path))
    assert not (tmp_path / "dashboards").exists()


def test_commands_check_and_write_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from analytics.cli import cli

    settings = dashboard_data.published(tmp_path, raw_tables.documents([]))
    monkeypatch.setenv("DATA_DIR", str(settings.data_dir))
    checked = CliRunner().invoke(cli, ["dashboards", "check"])
    assert (checked.exit_code, "5 dashboards" in checked.output) == (0, True), checked.output
    written = CliRunner().invoke(cli, ["dashboards", "html"])
    assert written.exit_code == 0, written.output
    assert (tmp_path / "dashboards" / "index.html").exists()
