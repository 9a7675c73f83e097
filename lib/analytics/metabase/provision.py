"""Make Metabase show exactly the dashboards of `metabase/dashboards`, and touch nothing else there.

Every step compares before it writes, so a second run sends no write at all, and a run that failed in the
middle is mended by the next one. What we made is recognised by its identity (see `analytics.metabase.bodies`), never
by being in our collection: a person may keep own cards and dashboards anywhere, also there.
"""

from __future__ import annotations

import time

from analytics.cards.model import Card, Dashboard
from analytics.metabase import bodies
from analytics.metabase.client import Json, MetabaseClient, MetabaseError, Progress
from analytics.metabase.database import DATABASE_NAME, Fields, connect
from analytics.metabase.definition import Definition, load_definition
from analytics.metabase.differences import card_differs, dashboard_differs, holds_sql
from analytics.metabase.job import Job, ProvisionResult
from analytics.metabase.sign_in import sign_in
from analytics.settings import Settings

COLLECTION_NAME = "Claude Code Analytics"
COLLECTION_DESCRIPTION = (
    "Managed by claude-analytics from metabase/dashboards: its dashboards and cards are updated there. "
    "Your own items in this collection are left alone."
)


def provision(
    settings: Settings,
    *,
    dry_run: bool = False,
    definition: Definition | None = None,
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
    started = time.monotonic()
    job = Job(
        settings,
        client or MetabaseClient(settings.metabase_url),
        definition or load_definition(pages_url=settings.analytics_url),
        dry_run,
        progress,
    )
    run = _Run(job)
    try:
        if sign_in(job):
            run.database_id, run.fields = connect(job)
            run.collection()
            run.cards()
            run.dashboards()
            run.archive()
            if check_queries and not dry_run:
                run.check_queries()
        else:
            run.plan_everything()
    finally:
        job.client.sign_out()
    return ProvisionResult(
        dry_run=dry_run,
        url=job.client.base_url,
        changes=tuple(job.changes),
        dashboards=run.urls,
        duration_seconds=time.monotonic() - started,
    )


class _Run:
    """What was found in Metabase so far, and the steps that make it what is wanted."""

    def __init__(self, job: Job) -> None:
        self.job, self.client = job, job.client
        self.urls: dict[str, str] = {}
        self.database_id = 0
        self.fields: Fields = {}
        self.collection_id = 0
        self.card_ids: dict[str, int] = {}
        self.retired: list[tuple[str, int, str]] = []  # (kind, id, name)

    def plan_everything(self) -> None:
        """The plan for a server without a user: everything is new."""
        self.job.did("create", "database", DATABASE_NAME)
        self.job.did("create", "collection", COLLECTION_NAME)
        for card in self.job.definition.cards:
            self.job.did("create", "card", card.title)
        for dashboard in self.job.definition.dashboards:
            self.job.did("create", "dashboard", dashboard.title)

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
            self.job.did("unchanged", "collection", COLLECTION_NAME)
            return
        self.job.did("create", "collection", COLLECTION_NAME)
        if not self.job.dry_run:
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
        for card in self.job.definition.cards:
            stored = self.client.get(f"/api/card/{bodies.entity_id(card.key)}", **{"legacy-mbql": True})
            self._upsert_card(card, stored)
        keys = {card.key for card in self.job.definition.cards}
        for item in self._items("card"):
            key = bodies.mark_of("card", item.get("description"))
            # A copy made in Metabase carries our mark but not the identity: it belongs to whoever made it.
            if key and key not in keys and item.get("entity_id") == bodies.entity_id(key):
                self.retired.append(("card", item["id"], item["name"]))

    def _upsert_card(self, card: Card, stored: Json | None) -> None:
        fields = self.fields
        if self.job.dry_run:  # a column that is not synchronised yet has no id: the card then shows as changed
            fields = dict.fromkeys(card.tags.values(), 0) | fields
        body = bodies.card_body(
            card,
            database_id=self.database_id,
            fields=fields,
            collection_id=self.collection_id,
            pages_url=self.job.definition.pages_url,
        )
        if stored is None:
            self.job.did("create", "card", card.title)
            if self.job.dry_run:
                self.card_ids[card.key] = -len(self.card_ids) - 1
                return
            created = self.client.post("/api/card", {**body, "entity_id": bodies.entity_id(card.key)})
            self.card_ids[card.key] = created["id"]
            self._verify_card(card, body)
            return
        self.card_ids[card.key] = stored["id"]
        differences = card_differs(body, stored)
        if not differences:
            self.job.did("unchanged", "card", card.title)
            return
        renamed = f"was {stored['name']!r}" if stored["name"] != card.title else ""
        self.job.did("update", "card", card.title, ", ".join(filter(None, [renamed, *differences])))
        if not self.job.dry_run:
            restore = {"archived": False} if stored.get("archived") else {}
            self.client.put(f"/api/card/{stored['id']}", {**body, **restore})
            self._verify_card(card, body)

    def _verify_card(self, card: Card, body: Json) -> None:
        stored = self.client.get(f"/api/card/{self.card_ids[card.key]}", **{"legacy-mbql": True}) or {}
        if not holds_sql(body, stored):
            raise MetabaseError(
                f'Metabase stored the card "{card.title}" without its SQL; update Metabase (0.63 is tested) '
                "and run this again"
            )

    # Dashboards

    def dashboards(self) -> None:
        """Create, update or leave every dashboard; note the ones that the definition dropped."""
        found: dict[str, Json] = {}
        # A copy made in Metabase carries the same mark: the oldest one, archived or not, is the one we made.
        for item in sorted([*self._items("dashboard"), *self._trashed_dashboards()], key=lambda item: item["id"]):
            key = bodies.mark_of("dashboard", item.get("description"))
            if key is not None:
                found.setdefault(key, item)
        keys = {dashboard.key for dashboard in self.job.definition.dashboards}
        dropped = {key: item for key, item in found.items() if key not in keys and not item.get("archived")}
        for position, dashboard in enumerate(self.job.definition.dashboards, start=1):
            item = found.get(dashboard.key)
            if item is None:
                key = next((key for key, other in dropped.items() if other["name"] == dashboard.title), None)
                item = dropped.pop(key) if key else None
            self._upsert_dashboard(dashboard, item["id"] if item else None, position)
        self.retired += [("dashboard", item["id"], item["name"]) for item in dropped.values()]

    def _trashed_dashboards(self) -> list[Json]:
        trash = self.client.get("/api/collection/trash")
        if trash is None or not self.collection_id:
            return []
        listed = self.client.get(f"/api/collection/{trash['id']}/items", models=["dashboard"], archived=True)
        return [{**item, "archived": True} for item in (listed or {"data": []})["data"]]

    def _upsert_dashboard(self, dashboard: Dashboard, dashboard_id: int | None, position: int) -> None:
        stored = self.client.get(f"/api/dashboard/{dashboard_id}") if dashboard_id else None
        if stored is None:
            self.job.did("create", "dashboard", dashboard.title)
            if self.job.dry_run:
                return
            created = self.client.post(
                "/api/dashboard",
                {
                    "name": dashboard.title,
                    "description": bodies.described(dashboard),
                    "collection_id": self.collection_id,
                    "collection_position": position,  # pinned above the cards
                },
            )
            stored = {**created, "dashcards": [], "tabs": []}
            self._put_dashboard(stored, self._dashboard_body(dashboard, stored))
        else:
            body = self._dashboard_body(dashboard, stored)
            differences = dashboard_differs(body, stored)
            if not differences:
                self.job.did("unchanged", "dashboard", dashboard.title)
            else:
                renamed = f"was {stored['name']!r}" if stored["name"] != dashboard.title else ""
                self.job.did("update", "dashboard", dashboard.title, ", ".join(filter(None, [renamed, *differences])))
                if not self.job.dry_run:
                    self._put_dashboard(stored, body)
        self.urls[dashboard.title] = f"{self.client.base_url}/dashboard/{stored['id']}"

    def _dashboard_body(self, dashboard: Dashboard, stored: Json) -> Json:
        """The whole PUT body. Our dashboards are one page: tabs that somebody made go."""
        return {
            "name": dashboard.title,
            "description": bodies.described(dashboard),
            "collection_id": self.collection_id,
            "width": "full",
            "auto_apply_filters": True,
            "parameters": bodies.parameter_bodies(dashboard, self.card_ids),
            "tabs": [],
            "dashcards": bodies.dashcard_bodies(dashboard, self.card_ids, stored.get("dashcards") or []),
        }

    def _put_dashboard(self, stored: Json, body: Json) -> None:
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
            self.job.did("archive", kind, name)
            if not self.job.dry_run:
                self.client.put(f"/api/{kind}/{item_id}", {"archived": True})

    def check_queries(self) -> None:
        """Run every card once. One line names all that fail."""
        failed = []
        for card in self.job.definition.cards:
            try:
                answer = self.client.post(f"/api/card/{self.card_ids[card.key]}/query", {"parameters": []}, retry=True)
                problem = None if (answer or {}).get("status") == "completed" else str((answer or {}).get("error"))
            except MetabaseError as error:
                problem = str(error)
            if problem is not None:
                failed.append(f'"{card.title}" ({self.client.redact(problem, limit=200)})')
        if failed:
            shown = "; ".join(failed[:3]) + (f"; and {len(failed) - 3} more" if len(failed) > 3 else "")
            raise MetabaseError(
                f"provisioned, but {len(failed)} of {len(self.job.definition.cards)} cards fail in Metabase: "
                f"{shown}; restart Metabase if the marts' columns changed since it started"
            )
