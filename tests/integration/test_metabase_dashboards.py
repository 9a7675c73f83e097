"""The repository's own dashboards, provisioned. Without this, a card could name a column that is not there, a filter
could drive nothing, or tiles could overlap, and nobody would notice before opening Metabase.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import yaml
from analytics.metabase.client import MetabaseClient
from analytics.metabase.definition import load_definition
from analytics.metabase.provision import provision
from analytics.settings import PROJECT_ROOT, load_settings
from metabase_server import MetabaseServer, Modes
from pydantic import SecretStr

EMAIL, PASSWORD = "admin@example.com", "a good one 9"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """serving.duckdb over empty marts, with the columns of the dbt contracts."""
    folder = tmp_path_factory.mktemp("serving")
    with duckdb.connect(str(folder / "serving.duckdb")) as connection:
        for path in sorted((PROJECT_ROOT / "dbt/models/marts").glob("*.yml")):
            for mart in yaml.safe_load(path.read_text()).get("models", []):
                columns = ", ".join(f'"{column["name"]}" {column["data_type"]}' for column in mart["columns"])
                file = folder / f"{mart['name']}.parquet"
                with duckdb.connect() as empty:
                    empty.execute(f"create table mart ({columns})")
                    empty.execute(f"copy mart to '{file}' (format parquet)")
                names = ", ".join(f'"{column["name"]}"' for column in mart["columns"])
                connection.execute(f"create view {mart['name']} as select {names} from read_parquet('{file}')")
    return folder / "serving.duckdb"


@pytest.fixture(scope="module")
def server(serving: Path) -> Iterator[MetabaseServer]:
    """A server that saw every dashboard provisioned once."""
    with MetabaseServer(Modes(metadata_polls=0)) as server:
        run(server, serving)
        yield server
    server.assert_clean()


def run(server: MetabaseServer, serving: Path, *, dry_run: bool = False, **more: str):
    settings = load_settings(
        data_dir=serving.parent,
        metabase_url=server.url,
        metabase_database_path=str(serving),
        metabase_admin_email=EMAIL,
        metabase_admin_password=PASSWORD,
        **more,
    )
    client = MetabaseClient(server.url, sleep=lambda _seconds: None)
    return provision(settings, client=client, dry_run=dry_run)


def test_every_dashboard_is_provisioned_once(server: MetabaseServer, serving: Path) -> None:
    definition = load_definition()
    assert definition.dashboards
    assert {board["name"] for board in server.dashboards.values()} == {board.title for board in definition.dashboards}
    server.forget_log()
    result = run(server, serving)
    assert not result.changed, str(result)
    assert server.writes() == []


def test_tables_of_sessions_lead_to_their_pages_where_the_server_is_known(
    server: MetabaseServer, serving: Path
) -> None:
    plan = run(server, serving, dry_run=True, analytics_url="http://127.0.0.1:8889")
    changed = {change.name: change.detail for change in plan.changes if change.action != "unchanged"}
    assert changed == {card.title: "visualization" for card in load_definition().cards if card.shows_sessions}
    assert len(changed) > 2


def test_every_filter_drives_its_cards(server: MetabaseServer) -> None:
    client = MetabaseClient(server.url)
    client.sign_in(EMAIL, SecretStr(PASSWORD))
    values = {"date/all-options": "2026-01-01~2026-02-01", "string/=": ["one", "two's"]}
    ran = 0
    for board in server.dashboards.values():
        for tile in board["dashcards"]:
            mapped = {mapping["parameter_id"] for mapping in tile["parameter_mappings"]}
            for parameter in board["parameters"]:
                if parameter["id"] in mapped:
                    path = f"/api/dashboard/{board['id']}/dashcard/{tile['id']}/card/{tile['card_id']}/query"
                    body = {"parameters": [{"id": parameter["id"], "value": values[parameter["type"]]}]}
                    answer = client.post(path, body)
                    assert answer["status"] == "completed", (server.cards[tile["card_id"]]["name"], answer)
                    ran += 1
    assert ran
