"""Provisioning against the stand-in server. Without these, a rename could duplicate a card, a second run
could churn revisions, a person's own work could be overwritten, and a password could end up in a log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
from analytics.cards.model import Card, Column, Dashboard, Place
from analytics.errors import AnalyticsError, ConfigError, SourceUnavailableError
from analytics.metabase.bodies import entity_id
from analytics.metabase.client import MetabaseClient, MetabaseError
from analytics.metabase.definition import Definition
from analytics.metabase.provision import COLLECTION_NAME, ProvisionResult, provision
from analytics.settings import Settings, load_settings
from metabase_server import MetabaseServer, Modes

EMAIL = "admin@example.com"
PASSWORD = 'canary "pass" wörd 9'
IN_CONTAINER = "/data/serving/serving.duckdb"

SPEND = Card(
    key="spend_by_day",
    title="Spend by day",
    description="What each day cost.",
    display="bar",
    sql="""
select
    date_key,
    sum(cost_usd) as cost_usd,
from agg_daily_usage
where true
  [[and date_key in (select date_key from dim_date where {{date}})]]
  [[and project_id in (select project_id from dim_projects where {{project}})]]
group by date_key
order by date_key;
""",
    place=Place(1, 0, 16, 6),
    definition="docs/how-we-count.md#cost",
    columns=(Column("date_key", "Day", "date"), Column("cost_usd", "Cost", "usd")),
    view={"x": "date_key", "y": ["cost_usd"]},
    source="metabase/dashboards/cost.yaml",
)
TOP = Card(
    key="known_projects",
    title="Top projects",
    description="Where the money goes.",
    display="table",
    sql="""
select
    projects.project_path,
    sum(usage.cost_usd) as cost_usd,
from agg_daily_usage as usage
inner join dim_projects as projects using (project_id)
where true
  [[and usage.date_key in (select date_key from dim_date where {{date}})]]
group by projects.project_path
order by cost_usd desc
""",
    place=Place(1, 16, 8, 6),
    definition="docs/how-we-count.md#cost",
    columns=(Column("project_path", "Project"), Column("cost_usd", "Cost", "usd")),
)
TOTAL = Card(
    key="total",
    title="Total",
    description="All of it.",
    display="scalar",
    sql="select sum(cost_usd) as cost_usd from agg_daily_usage",
    place=Place(7, 0, 24, 3),
    definition="docs/how-we-count.md#cost",
    columns=(Column("cost_usd", "Cost", "usd"),),
    view={"value": "cost_usd"},
)
COST = Dashboard(
    key="cost",
    title="Cost & usage",
    description="What Claude Code costs.",
    position=1,
    filters=("date", "project"),
    cards=(SPEND, TOP, TOTAL),
    source="metabase/dashboards/cost.yaml",
)
DETAIL = Dashboard(
    key="detail",
    title="Detail",
    description="The same again.",
    position=2,
    filters=(),
    cards=(replace(SPEND, place=Place(0, 0, 24, 6)), replace(TOP, place=Place(6, 0, 24, 6))),
    source="metabase/dashboards/detail.yaml",
)
DEFINITION = Definition(cards=(TOP, SPEND, TOTAL), dashboards=(COST, DETAIL))


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """serving.duckdb: views with named columns over published Parquet files."""
    folder = tmp_path_factory.mktemp("serving")
    tables = {
        "agg_daily_usage": """
            select
                date '2026-03-01' + day::integer as date_key,
                'project-' || project as project_id,
                cast(day + project as decimal(18, 9)) as cost_usd,
            from range(10) as days(day), range(3) as projects(project)
        """,
        "dim_date": "select date '2026-03-01' + day::integer as date_key from range(10) as days(day)",
        "dim_projects": """
            select 'project-' || project as project_id, '/home/project-' || project as project_path
            from range(3) as projects(project)
        """,
    }
    with duckdb.connect(str(folder / "serving.duckdb")) as connection:
        for name, query in tables.items():
            parquet = folder / f"{name}.parquet"
            connection.execute(f"copy ({query}) to '{parquet}' (format parquet)")
            columns = [column for column, *_ in connection.execute(f"describe {query}").fetchall()]
            connection.execute(f"create view {name} as select {', '.join(columns)} from read_parquet('{parquet}')")
    return folder / "serving.duckdb"


Start = Callable[..., MetabaseServer]


@pytest.fixture
def start(serving: Path) -> Iterator[Start]:
    """Starts servers; at the end every one of them must have seen only correct requests."""
    started: list[MetabaseServer] = []

    def start(modes: Modes | None = None) -> MetabaseServer:
        server = MetabaseServer(modes, files={IN_CONTAINER: str(serving)})
        started.append(server.__enter__())
        return server

    yield start
    for server in started:
        server.__exit__()
    for server in started:
        server.assert_clean()


@pytest.fixture
def server(start: Start) -> MetabaseServer:
    """A fresh server that nobody has set up."""
    return start()


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Settings for a server, from nothing but what the test gives."""
    monkeypatch.chdir(tmp_path)

    def settings(server: MetabaseServer, **changes: object) -> Settings:
        values = {"metabase_admin_email": EMAIL, "metabase_admin_password": PASSWORD, **changes}
        return load_settings(
            data_dir=tmp_path / "data",
            metabase_url=server.url,
            metabase_database_path=IN_CONTAINER,
            **values,
        )

    return settings


@pytest.fixture
def run(configured: Callable[..., Settings]) -> Callable[..., ProvisionResult]:
    """Provision a server with a definition."""

    def run(server: MetabaseServer, definition: Definition = DEFINITION, **options: object) -> ProvisionResult:
        now = [0.0]

        def sleep(seconds: float) -> None:
            """Time passes at once, and only here: a busy machine is no reason for giving up."""
            now[0] += seconds

        client = MetabaseClient(server.url, sleep=sleep, clock=lambda: now[0])
        return provision(configured(server), definition=definition, client=client, **options)

    return run


Run = Callable[..., ProvisionResult]


def changes(result: ProvisionResult) -> list[str]:
    return [str(change) for change in result.changes if change.action != "unchanged"]


# What a run makes


def test_first_run_makes_everything(server: MetabaseServer, run: Run) -> None:
    lines: list[str] = []
    result = run(server, progress=lines.append)
    assert [(change.action, change.kind, change.name) for change in result.changes] == [
        ("create", "admin", EMAIL),
        ("create", "database", "Claude Code Analytics"),
        ("create", "collection", COLLECTION_NAME),
        ("create", "card", "Top projects"),
        ("create", "card", "Spend by day"),
        ("create", "card", "Total"),
        ("create", "dashboard", "Cost & usage"),
        ("create", "dashboard", "Detail"),
    ]
    (database,) = server.databases.values()
    assert database["details"]["read_only"] is True
    assert database["details"]["database_file"] == IN_CONTAINER
    card = server.card_named("Spend by day")
    assert card["entity_id"] == entity_id("spend_by_day")
    assert "metabase/dashboards/cost.yaml" in card["description"]
    assert server.settings["anon-tracking-enabled"] is False
    assert server.sessions == set(), "the session was ended"
    dashboard = server.dashboard_named("Cost & usage")
    assert result.dashboards["Cost & usage"] == f"{server.url}/dashboard/{dashboard['id']}"
    assert dashboard["collection_position"] == 1
    assert PASSWORD not in "\n".join([str(result), *lines])


def test_filters_reach_the_cards(server: MetabaseServer, run: Run) -> None:
    run(server)
    dashboard = server.dashboard_named("Cost & usage")
    ids = {parameter["slug"]: parameter["id"] for parameter in dashboard["parameters"]}
    tile = {dashcard["card_id"]: dashcard["id"] for dashcard in dashboard["dashcards"]}
    spend = server.card_named("Spend by day")["id"]
    client = MetabaseClient(server.url)
    client.sign_in(EMAIL, load_settings(metabase_admin_password=PASSWORD).metabase_admin_password)

    def rows(**values: object) -> list[list[object]]:
        body = {"parameters": [{"id": ids[name], "value": value} for name, value in values.items()]}
        path = f"/api/dashboard/{dashboard['id']}/dashcard/{tile[spend]}/card/{spend}/query"
        return client.post(path, body)["data"]["rows"]

    assert len(rows()) == 10
    assert [row[0] for row in rows(date="2026-03-02~2026-03-03")] == ["2026-03-02", "2026-03-03"]
    assert rows(date="2026-03-02", project=["/home/project-2"]) == [["2026-03-02", "3.000000000"]]


def test_second_run_sends_no_write(start: Start, run: Run) -> None:
    for modes in (Modes(), Modes(tags_as_list=False)):
        server = start(modes)
        run(server)
        before = (server.cards, server.dashboards)
        server.forget_log()
        result = run(server)
        assert server.writes() == []
        assert not result.changed
        assert (server.cards, server.dashboards) == before


def test_dry_run_writes_nothing_and_shows_the_plan(server: MetabaseServer, run: Run) -> None:
    plan = run(server, dry_run=True)
    assert server.writes() == []
    assert "+ card       Spend by day" in str(plan)
    assert "8 would be created" in str(plan)
    run(server)
    server.forget_log()
    changed = replace(
        DEFINITION, cards=(TOP, replace(SPEND, title="Daily spend")), dashboards=(COST_WITHOUT_TOTAL, DETAIL)
    )
    assert changes(run(server, changed, dry_run=True)) == [
        "~ card       Daily spend (was 'Spend by day', name)",
        "~ dashboard  Cost & usage (layout)",
        "- card       Total",
    ]
    assert server.writes() == []


# What a changed definition does

COST_WITHOUT_TOTAL = replace(COST, cards=COST.cards[:2])


def test_renamed_card_keeps_its_id_and_place(server: MetabaseServer, run: Run) -> None:
    run(server)
    card_id = server.card_named("Spend by day")["id"]
    places = {item["id"] for item in server.dashboard_named("Cost & usage")["dashcards"]}
    result = run(server, replace(DEFINITION, cards=(TOP, replace(SPEND, title="Daily spend"), TOTAL)))
    assert changes(result) == ["~ card       Daily spend (was 'Spend by day', name)"]
    assert server.card_named("Daily spend")["id"] == card_id
    assert {item["id"] for item in server.dashboard_named("Cost & usage")["dashcards"]} == places
    assert not run(server, replace(DEFINITION, cards=(TOP, replace(SPEND, title="Daily spend"), TOTAL))).changed


def test_moved_card_keeps_its_id(server: MetabaseServer, run: Run) -> None:
    run(server)
    card_id = server.card_named("Total")["id"]
    within = replace(COST, cards=(SPEND, TOP, replace(TOTAL, place=Place(8, 0, 24, 3))))
    assert changes(run(server, replace(DEFINITION, dashboards=(within, DETAIL)))) == [
        "~ dashboard  Cost & usage (layout)"
    ]
    to_other = replace(DETAIL, cards=(*DETAIL.cards, replace(TOTAL, place=Place(12, 0, 24, 3))))
    moved = replace(DEFINITION, dashboards=(COST_WITHOUT_TOTAL, to_other))
    assert len(changes(run(server, moved))) == 2
    assert server.card_named("Total")["id"] == card_id
    assert card_id in {item["card_id"] for item in server.dashboard_named("Detail")["dashcards"]}
    assert card_id not in {item["card_id"] for item in server.dashboard_named("Cost & usage")["dashcards"]}
    assert not run(server, moved).changed


def test_dropped_card_and_dashboard_go_to_the_trash_and_come_back(server: MetabaseServer, run: Run) -> None:
    run(server)
    card_id, dashboard_id = server.card_named("Total")["id"], server.dashboard_named("Detail")["id"]
    smaller = Definition(cards=(TOP, SPEND), dashboards=(COST_WITHOUT_TOTAL,))
    assert changes(run(server, smaller)) == [
        "~ dashboard  Cost & usage (layout)",
        "- dashboard  Detail",
        "- card       Total",
    ]
    assert server.cards[card_id]["archived"]
    assert server.dashboards[dashboard_id]["archived"]
    assert not run(server, smaller).changed
    run(server)
    assert server.card_named("Total")["id"] == card_id
    assert server.dashboard_named("Detail")["id"] == dashboard_id
    assert not run(server).changed


def test_changed_sql_filter_and_layout_are_updated_in_place(server: MetabaseServer, run: Run) -> None:
    run(server)
    ids = set(server.cards)
    without_project = "\n".join(line for line in SPEND.sql.split("\n") if "{{project}}" not in line)
    other = replace(SPEND, sql=without_project.replace("sum(", "max("))
    result = run(server, replace(DEFINITION, cards=(TOP, other, TOTAL)))
    assert changes(result) == ["~ card       Spend by day (SQL, filters, parameters)"]
    assert set(server.cards) == ids
    assert "max(" in server.card_named("Spend by day")["dataset_query"]["native"]["query"]


def test_renamed_dashboard_keeps_the_address(server: MetabaseServer, run: Run) -> None:
    run(server)
    dashboard_id = server.dashboard_named("Detail")["id"]
    renamed = replace(DETAIL, title="Details", cards=DETAIL.cards[:1])
    definition = replace(DEFINITION, dashboards=(COST, renamed))
    assert changes(run(server, definition)) == ["~ dashboard  Details (was 'Detail', name, layout)"]
    assert server.dashboard_named("Details")["id"] == dashboard_id
    assert not run(server, definition).changed
    other_file = replace(definition, dashboards=(COST, replace(renamed, key="details")))
    assert changes(run(server, other_file)) == ["~ dashboard  Details (description)"]
    assert server.dashboard_named("Details")["id"] == dashboard_id


def test_drift_made_by_hand_is_undone(server: MetabaseServer, run: Run) -> None:
    run(server)
    before = server.dashboard_named("Cost & usage")["dashcards"]
    own = server.add_own_card("Mine")
    extra = {**before[1], "id": 99999, "card_id": own["id"], "row": 40, "parameter_mappings": []}
    server.dashboard_named("Cost & usage")["dashcards"] = [
        *({**d, "row": d["row"] + 2} for d in before),
        extra,
    ]
    server.card_named("Total")["display"] = "table"
    assert len(changes(run(server))) == 2
    placed = server.dashboard_named("Cost & usage")["dashcards"]
    assert {item["id"]: item["row"] for item in placed} == {item["id"]: item["row"] for item in before}
    assert server.card_named("Total")["display"] == "scalar"


def test_a_persons_own_items_are_never_touched(server: MetabaseServer, run: Run) -> None:
    run(server)
    ours = server.card_named("Spend by day")
    collection = ours["collection_id"]
    same_name_elsewhere = server.add_own_card("Spend by day", collection_id=None)
    own_here = server.add_own_card("My card", collection)
    copied = server.add_own_card("Spend by day - Duplicate", collection, description=ours["description"])
    own_dashboard = server.add_own_dashboard("My dashboard", collection)
    copied_dashboard = server.add_own_dashboard(
        "Cost & usage - Duplicate",
        collection,
        description=server.dashboard_named("Cost & usage")["description"],
    )
    same_title = server.add_own_dashboard("Detail", None)
    kept = [dict(item) for item in (same_name_elsewhere, own_here, copied, own_dashboard, copied_dashboard, same_title)]
    empty = Definition(cards=(), dashboards=())
    for definition in (DEFINITION, empty, DEFINITION):
        run(server, definition)
    assert [same_name_elsewhere, own_here, copied, own_dashboard, copied_dashboard, same_title] == kept
    assert not any(item["archived"] for item in kept)


def test_another_duckdb_database_of_that_name_is_left_alone(start: Start, run: Run) -> None:
    server = start()
    server.add_user(EMAIL, PASSWORD)
    server.databases[7] = {
        "id": 7, "name": "Claude Code Analytics", "engine": "duckdb",
        "details": {"database_file": "/own/mine.duckdb"},
    }  # fmt: skip
    with pytest.raises(MetabaseError, match=r"another DuckDB database named .* on /own/mine\.duckdb; rename it"):
        run(server)
    assert server.databases[7]["details"] == {"database_file": "/own/mine.duckdb"}


def test_moved_data_folder_updates_the_connection(server: MetabaseServer, run: Run, serving: Path, configured) -> None:
    run(server)
    settings = configured(server).model_copy(update={"metabase_database_path": str(serving)})
    client = MetabaseClient(server.url, sleep=lambda _seconds: None)
    result = provision(settings, definition=DEFINITION, client=client)
    assert "~ database   Claude Code Analytics (database_file)" in changes(result)


# Starting and signing in


def test_waits_through_a_cold_start(start: Start, run: Run) -> None:
    server = start(Modes(health_failures=4, properties_failures=3, reset_connections=2, gateway_errors=2))
    lines: list[str] = []
    assert run(server, progress=lines.append).changed
    assert any("initializing, 40 %" in line for line in lines)


def test_metadata_that_lags_behind_is_waited_for(start: Start, run: Run) -> None:
    column = ("agg_daily_usage", "cost_usd")
    server = start(Modes(metadata_polls=5, lost_until_syncs={column: 2}))
    assert run(server).changed
    assert max(server.syncs.values()) >= 2, "a lost column is asked for again"


def test_existing_server_is_signed_in_to(start: Start, run: Run, configured) -> None:
    server = start()
    server.add_user(EMAIL, PASSWORD)
    assert "POST /api/setup" not in server.writes()
    run(server)
    key = server.add_api_key()
    settings = configured(server, metabase_api_key=key, metabase_admin_email=None, metabase_admin_password=None)
    client = MetabaseClient(server.url, sleep=lambda _seconds: None)
    assert not provision(settings, definition=DEFINITION, client=client).changed
    assert server.settings["anon-tracking-enabled"] is True, "an existing server keeps its own settings"


@pytest.mark.parametrize("position", range(1, 9))
def test_failed_run_is_mended_by_the_next_one(start: Start, run: Run, position: int) -> None:
    for modes in (Modes(fail_write=position), Modes(drop_answer_of_write=position)):
        server = start(modes)
        # A lost answer to a PUT is asked for again, which is harmless: such a run does not fail.
        with contextlib.suppress(AnalyticsError):
            run(server)
        assert (modes.fail_write, modes.drop_answer_of_write) == (0, 0), "the failure happened"
        run(server)
        assert (len(server.cards), len(server.dashboards), len(server.databases)) == (3, 2, 1)
        assert not run(server).changed


# Failures: one clear line each, never a secret

FAILURES = [
    (Modes(driver_missing=True), "does not know the engine duckdb: its DuckDB driver is not loaded"),
    (
        Modes(refuse_connection="Can't open a connection to same database file with a different configuration"),
        "different configuration; restart Metabase",
    ),
    (
        Modes(refuse_connection="To set the TimeZone setting, the icu extension needs to be loaded."),
        "needs DuckDB's icu extension on disk, see docs/metabase.md",
    ),
    (Modes(library_mount_noexec=True), "noexec by default): mount /tmp with exec, or give Java another one"),
    (Modes(hide_setup_token=True), "has no user yet but shows no setup token"),
    (Modes(version="v0.52.1"), "Metabase v0.52.1 is too old"),
    (Modes(store_empty_queries=True), 'stored the card "Top projects" without its SQL'),
    (
        Modes(failing_queries={"Total": 202}),
        '1 of 3 cards fail in Metabase: "Total" (Binder Error: column not found)',
    ),
    (Modes(failing_queries={"Total": 400}), "Invalid query: unknown table"),
    (
        Modes(lost_columns={("agg_daily_usage", "cost_usd")}),
        'a column named "cost_usd"',
    ),
    (
        Modes(lost_columns={("dim_projects", "project_path")}),
        "column dim_projects.project_path for the filter project",
    ),
    (Modes(health_failures=10**6), "is not ready after 300 s (last answer: initializing, 40 %)"),
]


@pytest.mark.parametrize(("modes", "expected"), FAILURES, ids=[text[:40] for _, text in FAILURES])
def test_failure_is_one_clear_line(start: Start, run: Run, modes: Modes, expected: str) -> None:
    server = start(modes)
    with pytest.raises(AnalyticsError) as failure:
        run(server)
    assert expected in str(failure.value)
    assert_one_line_without_secrets(failure.value, server)
    if modes.lost_columns:
        assert not server.cards, "no card was touched"


def assert_one_line_without_secrets(error: BaseException, server: MetabaseServer) -> None:
    shown = f"{error!s} {error!r} {error.__cause__!r}"
    assert "\n" not in str(error)
    for secret in (PASSWORD, "canary", *server.sessions, server.setup_token or "-no token-"):
        assert secret not in shown


@pytest.mark.parametrize("password", ["short", "password1", 'canary "'], ids=["short", "common", "quoted"])
def test_rejected_password_is_never_shown(start: Start, configured, password: str) -> None:
    server = start()
    settings = configured(server, metabase_admin_password=password)
    client = MetabaseClient(server.url, sleep=lambda _seconds: None)
    with pytest.raises(MetabaseError, match=r"did not create the first admin admin@example\.com") as failure:
        provision(settings, definition=DEFINITION, client=client)
    assert password not in f"{failure.value!s} {failure.value!r}"
    assert "***" in str(failure.value)


def test_wrong_password_and_throttle_say_so(start: Start, run: Run) -> None:
    server = start()
    server.add_user(EMAIL, "another one 9")
    for _ in range(6):
        with pytest.raises(MetabaseError, match=r"rejected METABASE_ADMIN_EMAIL=admin@example\.com") as failure:
            run(server)
        assert_one_line_without_secrets(failure.value, server)
    with pytest.raises(MetabaseError, match="Too many attempts"):
        run(server)


def test_missing_settings_are_named(start: Start, configured) -> None:
    server = start()
    missing = configured(server, metabase_admin_email=None, metabase_admin_password=None)
    with pytest.raises(ConfigError, match="METABASE_ADMIN_EMAIL and METABASE_ADMIN_PASSWORD not set"):
        provision(missing, definition=DEFINITION)
    with pytest.raises(ConfigError, match=r"^METABASE_ADMIN_PASSWORD not set"):
        provision(configured(server, metabase_admin_password=None), definition=DEFINITION)
    only_key = configured(server, metabase_api_key="mb_x=", metabase_admin_email=None)
    with pytest.raises(ConfigError, match="has no user yet"):
        provision(only_key, definition=DEFINITION)
    server.add_user(EMAIL, PASSWORD)
    with pytest.raises(MetabaseError, match="METABASE_API_KEY was not accepted"):
        provision(only_key, definition=DEFINITION)
    with pytest.raises(ConfigError, match=r"METABASE_API_KEY=\(hidden\)") as failure:
        provision(configured(server, metabase_api_key="bad\nkey"), definition=DEFINITION)
    assert "bad" not in str(failure.value)
    reader = configured(server, metabase_api_key=server.add_api_key(admin=False))
    with pytest.raises(MetabaseError, match="not an administrator"):
        provision(reader, definition=DEFINITION)


def test_unreachable_server_and_bad_address_say_so(start: Start, configured, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.metabase.sign_in.READY_TIMEOUT_SECONDS", 0.2)
    gone = MetabaseServer()
    gone._http.server_close()
    with pytest.raises(SourceUnavailableError, match=r"last answer: connection refused\); start it with `make up`"):
        provision(configured(gone), definition=DEFINITION)
    for url in ("localhost:3001", "ftp://x", "http://"):
        with pytest.raises(ConfigError, match="METABASE_URL"):
            MetabaseClient(url)
    with pytest.raises(ConfigError) as failure:
        MetabaseClient("http://me:secret@localhost:3001")
    assert "secret" not in str(failure.value)


def test_broken_path_says_which_setting(start: Start, run: Run) -> None:
    server = start()
    server.files[IN_CONTAINER] = "/nowhere/serving.duckdb"
    with pytest.raises(MetabaseError, match=r"cannot open /data/serving/serving\.duckdb: .*METABASE_DATABASE_PATH"):
        run(server)


def test_wrong_sql_is_named_at_once(start: Start, run: Run) -> None:
    server = start()
    wrong = replace(SPEND, sql="select date_key - 1.5 as date_key, 1 as cost_usd from agg_daily_usage")
    with pytest.raises(
        MetabaseError, match=r'"Spend by day" does not bind: .*; correct metabase/dashboards/cost\.yaml'
    ):
        run(server, Definition(cards=(wrong,), dashboards=()))
    assert not server.cards


# The stand-in itself: what Metabase would swallow must fail here


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            {"columns": (*SPEND.columns, Column("spend", "Spend")), "view": {"x": "date_key", "y": ["spend"]}},
            "graph.metrics",
        ),
        (
            {"sql": SPEND.sql.replace("where {{project}}", "where project_path = {{project}}")},
            "compared with an operator",
        ),
        ({"display": "pivot"}, "pivot tables"),
    ],
)
def test_stand_in_refuses_what_metabase_would_swallow(
    serving: Path, configured, change: dict[str, object], complaint: str
) -> None:
    with MetabaseServer(files={IN_CONTAINER: str(serving)}) as server:
        client = MetabaseClient(server.url, sleep=lambda _seconds: None)
        definition = Definition(cards=(replace(SPEND, **change),), dashboards=())
        with pytest.raises(MetabaseError):
            provision(configured(server), definition=definition, client=client)
        assert complaint in "\n".join(server.violations)
