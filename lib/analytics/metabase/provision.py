"""Make Metabase show exactly the dashboards of `metabase/dashboards`, and touch nothing else there.

Every step compares before it writes, so a second run sends no write at all, and a run that failed in the
middle is mended by the next one. What we made is recognised by its identity (see `metabase_render`), never
by being in our collection: a person may keep own cards and dashboards anywhere, also there.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import duckdb

from analytics.common.sql import identifier
from analytics.errors import AnalyticsError, ConfigError, first_line
from analytics.metabase import bodies as render
from analytics.metabase.client import (
    READY_TIMEOUT_SECONDS,
    Json,
    MetabaseClient,
    MetabaseError,
    Progress,
)
from analytics.settings import Settings

SITE_NAME = "Claude Code Analytics"
DATABASE_NAME = "Claude Code Analytics"
COLLECTION_NAME = "Claude Code Analytics"
COLLECTION_DESCRIPTION = (
    "Managed by claude-analytics from metabase/dashboards: its dashboards and cards are updated there. "
    "Your own items in this collection are left alone."
)
SERVING_FILE = "serving.duckdb"
MEMORY_LIMIT = "2GB"  # DuckDB lives in Metabase's JVM and would otherwise take 80 % of the machine
OLDEST_VERSION = 58  # below it the driver and the query forms differ
SYNC_TIMEOUT_SECONDS = 180.0

_LOST = ("not found", "does not exist", "does not have a column")  # a missing table or column in DuckDB's words
_SYMBOLS = {"create": "+", "update": "~", "archive": "-", "unchanged": "="}


@dataclass(frozen=True)
class Change:
    """One line of the plan. `action` is create, update, archive or unchanged; `detail` says what differs."""

    action: str
    kind: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{_SYMBOLS[self.action]} {self.kind:<10} {self.name}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True)
class ProvisionResult:
    """What provisioning did, or would do (`dry_run`).

    `dashboards` maps dashboard title -> address in Metabase.
    """

    dry_run: bool
    url: str
    changes: tuple[Change, ...]
    dashboards: dict[str, str] = field(default_factory=dict)
    duration_seconds: float = 0.0

    def count(self, action: str) -> int:
        """How many lines of the plan have this action."""
        return sum(change.action == action for change in self.changes)

    @property
    def changed(self) -> bool:
        """Whether anything was (or would be) written."""
        return self.count("unchanged") < len(self.changes)

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes]
        verb = "would be " if self.dry_run else ""
        lines.append(
            f"{self.url}: {self.count('create')} {verb}created, {self.count('update')} {verb}updated, "
            f"{self.count('archive')} {verb}archived, {self.count('unchanged')} unchanged"
        )
        lines += [f"  {name}: {url}" for name, url in self.dashboards.items()]
        return "\n".join(lines)


def provision(
    settings: Settings,
    *,
    dry_run: bool = False,
    definition: render.Definition | None = None,
    client: MetabaseClient | None = None,
    progress: Progress = lambda _line: None,
    check_queries: bool = True,
) -> ProvisionResult:
    """Create or update the database connection, collection, cards and dashboards in Metabase.

    Args:
        dry_run: compare only; nothing is written, also no first user.
        definition: what to provision; default: `metabase/dashboards`.
        client: a client to use; default: one for METABASE_URL.
        check_queries: run every card once in Metabase at the end, so that a broken one is found now.

    Raises:
        ConfigError: missing or unusable METABASE_ settings.
        SourceUnavailableError: Metabase does not become ready or stops answering.
        MetabaseError: Metabase refuses something.
    """
    if definition is None:
        from analytics.metabase.definition import load_definition

        definition = load_definition(pages_url=settings.analytics_url)
    client = client or MetabaseClient(settings.metabase_url)
    started = time.monotonic()
    run = _Run(settings, client, definition, dry_run=dry_run, progress=progress)
    try:
        run.sign_in()
        if run.signed_in:
            run.database()
            run.collection()
            run.cards()
            run.dashboards()
            run.archive()
            if check_queries and not dry_run:
                run.check_queries()
        else:
            run.plan_everything()
    finally:
        client.sign_out()
    return ProvisionResult(
        dry_run=dry_run,
        url=client.base_url,
        changes=tuple(run.changes),
        dashboards=run.urls,
        duration_seconds=time.monotonic() - started,
    )


class _Run:
    """One provisioning run: what was found so far and what was done."""

    def __init__(
        self,
        settings: Settings,
        client: MetabaseClient,
        definition: render.Definition,
        *,
        dry_run: bool,
        progress: Progress,
    ) -> None:
        self.settings = settings
        self.client = client
        self.definition = definition
        self.dry_run = dry_run
        self.progress = progress
        self.signed_in = False
        self.changes: list[Change] = []
        self.urls: dict[str, str] = {}
        self.database_id = 0
        self.fields: dict[tuple[str, str], int] = {}
        self.collection_id = 0
        self.card_specs = {card.key: card for card in definition.cards}
        self.card_ids: dict[str, int] = {}
        self.retired: list[tuple[str, int, str]] = []  # (kind, id, name)

    def _did(self, action: str, kind: str, name: str, detail: str = "") -> None:
        self.changes.append(Change(action, kind, name, detail))
        if action != "unchanged" and not self.dry_run:
            self.progress(str(self.changes[-1]))

    # Sign-in

    def sign_in(self) -> None:
        """Wait for the server; sign in, or create the first administrator on a fresh server."""
        email, password = self.settings.metabase_admin_email, self.settings.metabase_admin_password
        key = self.settings.metabase_api_key
        if not key and (not email or not password):
            missing = [
                name
                for name, value in (("METABASE_ADMIN_EMAIL", email), ("METABASE_ADMIN_PASSWORD", password))
                if not value
            ]
            raise ConfigError(
                f"{' and '.join(missing)} not set: the administrator that provisioning signs in as "
                "(or creates on a fresh Metabase); set both, or METABASE_API_KEY, in .env"
            )
        properties = self.client.wait_until_ready(timeout=READY_TIMEOUT_SECONDS, progress=self.progress)
        self._check_version((properties.get("version") or {}).get("tag"))
        if properties["has-user-setup"]:
            if key:
                self.client.use_api_key(key)
            elif email and password:
                self.client.sign_in(email, password)
            self.signed_in = True
            return
        if not (email and password):
            raise ConfigError(
                "METABASE_API_KEY is set, but this Metabase has no user yet: set METABASE_ADMIN_EMAIL and "
                "METABASE_ADMIN_PASSWORD, its first administrator is made from them"
            )
        token = properties.get("setup-token")
        if not token:
            raise MetabaseError(
                f"Metabase at {self.client.base_url} has no user yet but shows no setup token; "
                "finish its setup page in a browser with METABASE_ADMIN_EMAIL, then run this again"
            )
        self._did("create", "admin", email)
        if self.dry_run:
            return
        self.client.set_up(token, email, password, site_name=SITE_NAME)
        self.signed_in = True
        # Setup turns usage reports on (metabase/setup_rest); transcripts are private: nothing phones home.
        self.client.put("/api/setting/anon-tracking-enabled", {"value": False})

    def _check_version(self, tag: object) -> None:
        parts = str(tag or "").lstrip("v").split(".")
        if len(parts) >= 2 and parts[1].isdigit():
            if int(parts[1]) < OLDEST_VERSION:
                raise MetabaseError(f"Metabase {tag} is too old: 0.{OLDEST_VERSION} or newer is needed, 0.63 is tested")
        else:
            self.progress(f"Metabase version {tag!r} is unknown here; 0.63 is tested")

    def plan_everything(self) -> None:
        """The plan for a server without a user: everything is new."""
        self._did("create", "database", DATABASE_NAME)
        self._did("create", "collection", COLLECTION_NAME)
        for card in self.definition.cards:
            self._did("create", "card", card.name)
        for dashboard in self.definition.dashboards:
            self._did("create", "dashboard", dashboard.name)

    # Database

    def database(self) -> None:
        """Connect serving.duckdb read-only and wait until Metabase knows the columns that the cards use."""
        path = self.settings.metabase_database_path or str(self.settings.serving_dir / SERVING_FILE)
        if not posixpath.isabs(path):
            raise ConfigError(f"METABASE_DATABASE_PATH={path!r}: must be absolute, as Metabase's container sees it")
        details = {
            "database_file": path,
            "read_only": True,
            "old_implicit_casting": True,
            "memory_limit": MEMORY_LIMIT,
            # The driver's default, <file>.tmp, is not writable on a read-only mount.
            "additional-options": "temp_directory=/tmp/duckdb",
        }
        listed = self.client.get("/api/database")["data"]
        stored = next((db for db in listed if db["name"] == DATABASE_NAME and db["engine"] == "duckdb"), None)
        synced = False
        if stored is None:
            self._did("create", "database", DATABASE_NAME, path)
            if self.dry_run:
                return
            body = {"name": DATABASE_NAME, "engine": "duckdb", "details": details, "is_full_sync": True}
            self.database_id = self._connect(lambda: self.client.post("/api/database", body), path)["id"]
        else:
            self.database_id = stored["id"]
            held = stored.get("details") or {}
            if posixpath.basename(str(held.get("database_file"))) != posixpath.basename(path):
                raise MetabaseError(
                    f'Metabase has another DuckDB database named "{DATABASE_NAME}" on '
                    f"{held.get('database_file')}; rename it there, it is left alone"
                )
            changed = [key for key, value in details.items() if held.get(key) != value]
            if changed:
                self._did("update", "database", DATABASE_NAME, ", ".join(changed))
                if not self.dry_run:
                    self._connect(
                        lambda: self.client.put(f"/api/database/{self.database_id}", {"details": details}),
                        path,
                    )
            else:
                self._did("unchanged", "database", DATABASE_NAME)
                synced = True
        self._wait_for_columns(synced=synced and not self.dry_run)

    def _connect(self, request: Callable[[], Json], path: str) -> Json:
        """Create or change the connection; Metabase tests it and answers 400 when it does not open."""
        try:
            return request()
        except MetabaseError as error:
            if error.status != 400:
                raise
            if "engine" in error.fields:
                raise MetabaseError(
                    "Metabase does not know the engine duckdb: its DuckDB driver is not loaded (the jar must "
                    "be readable in Metabase's plugins folder, and the official Alpine image cannot load it)",
                    status=400,
                ) from None
            hint = "METABASE_DATABASE_PATH must be the published serving.duckdb as Metabase's container sees it"
            if "different configuration" in str(error):
                hint = "restart Metabase"
            elif "UnsatisfiedLinkError" in str(error) or "failed to map segment" in str(error):
                hint = (
                    "Metabase unpacks DuckDB's library into a folder from which nothing may be loaded (a tmpfs is "
                    "noexec by default): mount /tmp with exec, or give Java another one with -Djava.io.tmpdir"
                )
            elif "icu extension" in str(error):
                hint = "driver 1.5.5.0 needs DuckDB's icu extension on disk, see docs/metabase.md"
            raise MetabaseError(f"Metabase cannot open {path}: {error}; {hint}", status=400) from None

    def _wait_for_columns(self, *, synced: bool) -> None:
        """Poll the metadata until every card binds against it. A finished sync shows tables before their
        columns, and may lose one that an earlier sync knew: it is asked again every few polls."""
        deadline = self.client.clock() + SYNC_TIMEOUT_SECONDS
        polls, delay = 0, 0.2
        while True:
            if not synced and not self.dry_run and polls % 8 == 0:
                self.client.post(f"/api/database/{self.database_id}/sync_schema", retry=True)
            tables = self._tables()
            problem = _missing(self.definition, tables)
            if problem is None:
                break
            if self.dry_run:
                self.progress(f"Metabase has to synchronise the database first: {problem}")
                break
            if self.client.clock() >= deadline:
                raise MetabaseError(
                    f"Metabase's view of {DATABASE_NAME} lacks what the dashboards need after "
                    f"{SYNC_TIMEOUT_SECONDS:.0f} s of synchronising: {problem}; publish the current marts, "
                    "and restart Metabase if their columns changed since it started"
                )
            if polls == 0:
                self.progress(f"waiting for Metabase to synchronise {DATABASE_NAME}")
            synced = False
            self.client.pause(delay)
            delay, polls = min(delay * 1.5, 5.0), polls + 1
        for table in tables:
            for column in table["fields"]:
                for name in (table["name"], f"{table['schema']}.{table['name']}"):
                    self.fields[(name, column["name"])] = column["id"]

    def _tables(self) -> list[dict[str, Any]]:
        metadata = self.client.get(f"/api/database/{self.database_id}/metadata", include_hidden=True) or {}
        return [
            {
                **table,
                "schema": table.get("schema") or "main",
                "fields": [column for column in table.get("fields") or [] if column.get("active", True)],
            }
            for table in metadata.get("tables") or []
        ]

    # Collection

    def collection(self) -> None:
        """The one collection that holds everything we make."""
        listed = self.client.get("/api/collection")
        stored = next(
            (
                item
                for item in listed
                if item.get("name") == COLLECTION_NAME
                and isinstance(item.get("id"), int)
                and not item.get("personal_owner_id")
                and item.get("type") is None
                and not item.get("archived")
                and item.get("location", "/") == "/"
            ),
            None,
        )
        if stored is not None:
            self.collection_id = stored["id"]
            self._did("unchanged", "collection", COLLECTION_NAME)
            return
        self._did("create", "collection", COLLECTION_NAME)
        if not self.dry_run:
            body = {"name": COLLECTION_NAME, "description": COLLECTION_DESCRIPTION, "parent_id": None}
            self.collection_id = self.client.post("/api/collection", body)["id"]

    def _items(self, model: str) -> list[Json]:
        """Our collection's items of one model."""
        if not self.collection_id:
            return []
        return (self.client.get(f"/api/collection/{self.collection_id}/items", models=[model]) or {"data": []})["data"]

    # Cards

    def cards(self) -> None:
        """Create, update or leave every card; note the ones that the definition dropped."""
        for spec in self.definition.cards:
            stored = self.client.get(f"/api/card/{render.entity_id(spec.key)}", **{"legacy-mbql": True})
            self._upsert_card(spec, stored)
        for item in self._items("card"):
            key = render.mark_of("card", item.get("description"))
            # A copy made in Metabase carries our mark but not the identity: it belongs to whoever made it.
            if key and key not in self.card_specs and item.get("entity_id") == render.entity_id(key):
                self.retired.append(("card", item["id"], item["name"]))

    def _upsert_card(self, spec: render.CardSpec, stored: Json | None) -> None:
        fields = self.fields
        if self.dry_run:  # a column that is not synchronised yet has no id: the card then shows as changed
            fields = {tag.column: 0 for tag in spec.tags if tag.column} | fields
        body = render.card_body(spec, database_id=self.database_id, fields=fields, collection_id=self.collection_id)
        if stored is None:
            self._did("create", "card", spec.name)
            if self.dry_run:
                self.card_ids[spec.key] = -len(self.card_ids) - 1
                return
            created = self.client.post("/api/card", {**body, "entity_id": render.entity_id(spec.key)})
            self.card_ids[spec.key] = created["id"]
            self._verify_card(spec, body)
            return
        self.card_ids[spec.key] = stored["id"]
        differences = render.card_differs(body, stored)
        if not differences:
            self._did("unchanged", "card", spec.name)
            return
        renamed = f"was {stored['name']!r}" if stored["name"] != spec.name else ""
        self._did("update", "card", spec.name, ", ".join(filter(None, [renamed, *differences])))
        if not self.dry_run:
            restore = {"archived": False} if stored.get("archived") else {}
            self.client.put(f"/api/card/{stored['id']}", {**body, **restore})
            self._verify_card(spec, body)

    def _verify_card(self, spec: render.CardSpec, body: Json) -> None:
        stored = self.client.get(f"/api/card/{self.card_ids[spec.key]}", **{"legacy-mbql": True}) or {}
        if not render.holds_sql(body, stored):
            raise MetabaseError(
                f'Metabase stored the card "{spec.name}" without its SQL; update Metabase (0.63 is tested) '
                "and run this again"
            )

    # Dashboards

    def dashboards(self) -> None:
        """Create, update or leave every dashboard; note the ones that the definition dropped."""
        found: dict[str, Json] = {}
        # A copy made in Metabase carries the same mark: the oldest one, archived or not, is the one we made.
        for item in sorted([*self._items("dashboard"), *self._trashed_dashboards()], key=lambda item: item["id"]):
            key = render.mark_of("dashboard", item.get("description"))
            if key is not None:
                found.setdefault(key, item)
        keys = {spec.key for spec in self.definition.dashboards}
        dropped = {key: item for key, item in found.items() if key not in keys and not item.get("archived")}
        for position, spec in enumerate(self.definition.dashboards, start=1):
            item = found.get(spec.key)
            if item is None:
                key = next((key for key, other in dropped.items() if other["name"] == spec.name), None)
                item = dropped.pop(key) if key else None
            self._upsert_dashboard(spec, item["id"] if item else None, position)
        self.retired += [("dashboard", item["id"], item["name"]) for item in dropped.values()]

    def _trashed_dashboards(self) -> list[Json]:
        trash = self.client.get("/api/collection/trash")
        if trash is None or not self.collection_id:
            return []
        listed = self.client.get(f"/api/collection/{trash['id']}/items", models=["dashboard"], archived=True)
        return [{**item, "archived": True} for item in (listed or {"data": []})["data"]]

    def _upsert_dashboard(self, spec: render.DashboardSpec, dashboard_id: int | None, position: int) -> None:
        stored = self.client.get(f"/api/dashboard/{dashboard_id}") if dashboard_id else None
        if stored is None:
            self._did("create", "dashboard", spec.name)
            if self.dry_run:
                return
            created = self.client.post(
                "/api/dashboard",
                {
                    "name": spec.name,
                    "description": render.described("dashboard", spec),
                    "collection_id": self.collection_id,
                    "collection_position": position,  # pinned above the cards
                },
            )
            stored = {**created, "dashcards": [], "tabs": []}
            self._put_dashboard(spec, stored, self._dashboard_body(spec, stored))
        else:
            body = self._dashboard_body(spec, stored)
            differences = render.dashboard_differs(body, stored)
            if not differences:
                self._did("unchanged", "dashboard", spec.name)
            else:
                renamed = f"was {stored['name']!r}" if stored["name"] != spec.name else ""
                self._did("update", "dashboard", spec.name, ", ".join(filter(None, [renamed, *differences])))
                if not self.dry_run:
                    self._put_dashboard(spec, stored, body)
        self.urls[spec.name] = f"{self.client.base_url}/dashboard/{stored['id']}"

    def _dashboard_body(self, spec: render.DashboardSpec, stored: Json) -> Json:
        """The whole PUT body: sending dashcards without tabs would delete the tabs."""
        held = {tab["name"]: tab["id"] for tab in stored.get("tabs") or []}
        tab_ids = {name: held.get(name, -position) for position, name in enumerate(spec.tabs, start=1)}
        return {
            "name": spec.name,
            "description": render.described("dashboard", spec),
            "collection_id": self.collection_id,
            "width": "full",
            "auto_apply_filters": True,
            "parameters": render.parameter_bodies(spec, self.card_ids),
            "tabs": [{"id": tab_id, "name": name} for name, tab_id in tab_ids.items()],
            "dashcards": render.dashcard_bodies(
                spec, self.card_specs, self.card_ids, stored.get("dashcards") or [], tab_ids
            ),
        }

    def _put_dashboard(self, spec: render.DashboardSpec, stored: Json, body: Json) -> None:
        path = f"/api/dashboard/{stored['id']}"
        if stored.get("archived"):  # an archived dashboard takes no dashcards: restore it first
            self.client.put(path, {"archived": False, "collection_id": self.collection_id})
        answer = self.client.put(path, body)
        kept = {parameter["id"] for parameter in answer.get("parameters") or []}
        if kept != {parameter["id"] for parameter in body["parameters"]}:
            # Removing a dashcard that carried an inline filter drops the filter in the same request.
            self.client.put(path, {"parameters": body["parameters"]})

    # The end

    def archive(self) -> None:
        """Move to the trash what the definition dropped: never deleted, so nothing is lost for good."""
        for kind, item_id, name in sorted(self.retired, reverse=True):  # dashboards before their cards
            self._did("archive", kind, name)
            if not self.dry_run:
                self.client.put(f"/api/{kind}/{item_id}", {"archived": True})

    def check_queries(self) -> None:
        """Run every card once. One line names all that fail."""
        failed = []
        for spec in self.definition.cards:
            try:
                answer = self.client.post(f"/api/card/{self.card_ids[spec.key]}/query", {"parameters": []}, retry=True)
                problem = None if (answer or {}).get("status") == "completed" else str((answer or {}).get("error"))
            except MetabaseError as error:
                problem = str(error)
            if problem is not None:
                failed.append(f'"{spec.name}" ({self.client.redact(problem, limit=200)})')
        if failed:
            shown = "; ".join(failed[:3]) + (f"; and {len(failed) - 3} more" if len(failed) > 3 else "")
            raise MetabaseError(
                f"provisioned, but {len(failed)} of {len(self.definition.cards)} cards fail in Metabase: "
                f"{shown}; restart Metabase if the marts' columns changed since it started"
            )


def _missing(definition: render.Definition, tables: list[dict[str, Any]]) -> str | None:
    """What the cards need and `tables` (Metabase's metadata) do not have, None when every card binds.

    The cards' SQL is bound by DuckDB against empty tables with exactly the columns that Metabase knows, so
    a lost column is named before any card is touched.
    """
    known = {
        (name, column["name"])
        for table in tables
        for column in table["fields"]
        for name in (table["name"], f"{table['schema']}.{table['name']}")
    }
    for card in definition.cards:
        for tag in card.tags:
            if tag.column is not None and tag.column not in known:
                return f'column {".".join(tag.column)} for the filter {tag.name} of "{card.name}"'
    with duckdb.connect(config={"old_implicit_casting": True}) as connection:
        for table in tables:
            columns = ", ".join(f"{identifier(c['name'])} {c['database_type']}" for c in table["fields"])
            if columns:
                connection.execute(f"create schema if not exists {identifier(table['schema'])}")
                connection.execute(
                    f"create table {identifier(table['schema'])}.{identifier(table['name'])} ({columns})"
                )
        for card in definition.cards:
            for filtered in (False, True):
                try:
                    connection.execute(f"explain {render.bound_sql(card, filtered=filtered)}")
                except duckdb.Error as error:
                    problem = f'"{card.name}" does not bind: {first_line(error)}'
                    if any(words in problem for words in _LOST):
                        return problem
                    raise MetabaseError(f"{problem}; correct {card.source or card.key}") from None
    return None


__all__ = ["AnalyticsError", "Change", "ProvisionResult", "provision"]
