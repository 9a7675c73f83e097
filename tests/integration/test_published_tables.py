"""Every table and view of what is published can be read, however it is opened.

Without this a view could name a database that nobody else calls so, and fail in every notebook."""

from __future__ import annotations

from pathlib import Path

import dashboard_data
import duckdb
import pytest
from analytics.raw.extract import extract
from analytics.settings import load_settings
from analytics.warehouse.load import load
from analytics.warehouse.publish import publish
from analytics.warehouse.transform import transform
from analytics.warehouse.versions import version_path, versions


def read_everything(path: str) -> set[str]:
    """Select from each relation of a database -> their names."""
    with duckdb.connect(path, read_only=True) as connection:
        names = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where table_catalog = current_database()"
        ).fetchall()
        for (name,) in names:
            connection.execute(f"select * from {name} limit 1").fetchall()
    return {name for (name,) in names}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_every_table_and_view_of_every_version_is_readable(tmp_path: Path, elsewhere: bool) -> None:
    projects = tmp_path / "projects"
    folder = projects / "-w-app"
    folder.mkdir(parents=True)
    settings = load_settings(
        data_dir=tmp_path / "data",
        claude_projects_dir=projects,
        duckdb_path=tmp_path / "shared" / "numbers.duckdb" if elsewhere else None,
    )
    for number in range(2):
        line = dashboard_data.entry("user", f"u{number}", "2026-05-01T10:00:00.000Z", {"role": "user", "content": "hi"})
        with (folder / f"s{number}.jsonl").open("a") as stream:
            stream.write(dashboard_data.line(line) + "not json\n")
        extract(settings, progress=False)
        load(settings)
        transform(settings)
        publish(settings)
    kept = versions(settings)
    assert len(kept) == 2
    paths = [settings.published_path, *(version_path(settings, version) for version in kept)]
    for path in paths:
        names = read_everything(str(path))
        assert {"staging.stg_dead_letters", "staging.stg_redactions", "marts.dim_sessions"} <= names
    served = read_everything(str(settings.serving_dir / "serving.duckdb"))
    marts = {
        name.removeprefix("marts.") for name in read_everything(str(settings.published_path)) if name[:6] == "marts."
    }
    assert served == {f"{schema}.{mart}" for schema in ("main", "marts") for mart in marts}
