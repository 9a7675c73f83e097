"""The stand-in server: real HTTP, real DuckDB queries, Metabase's rules, and no leniency.

Anything the real server would swallow (unknown keys, bad references, misplaced filters) is recorded in
`violations` and refused with 400; `assert_clean` at the end of a test shows them. Cards are really run,
read-only, on the database file that was connected, with DuckDB 1.5 as in Metabase's driver.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import secrets
import string
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
from jsonschema import Draft202012Validator

from metabase_server import native_query, visualization
from metabase_server.schemas import ALLOWED_FOR, BODIES

Json = dict[str, Any]
NANO_ID = re.compile(r"[A-Za-z0-9_\-]{21}")
COMMON_PASSWORDS = {"password1", "metabase1", "123456a", "qwerty1"}
OPEN_PATHS = {"/api/health", "/api/session/properties", "/api/setup", "/api/session"}
OPTIONS_IN_URL = {"temp_directory", "jdbc_ignore_unsupported_options", "threads"}
ROUTES: dict[str, str] = {
    "GET /api/health": "health",
    "GET /api/session/properties": "properties",
    "POST /api/setup": "setup",
    "POST /api/session": "log_in",
    "DELETE /api/session": "log_out",
    "PUT /api/setting/:key": "set_setting",
    "GET /api/database": "list_databases",
    "POST /api/database": "create_database",
    "PUT /api/database/:id": "update_database",
    "POST /api/database/:id/sync_schema": "sync_database",
    "GET /api/database/:id/metadata": "database_metadata",
    "GET /api/collection": "list_collections",
    "POST /api/collection": "create_collection",
    "PUT /api/collection/:id": "update_collection",
    "GET /api/collection/trash": "trash",
    "GET /api/collection/:id/items": "collection_items",
    "GET /api/card/:id": "get_card",
    "POST /api/card": "create_card",
    "PUT /api/card/:id": "update_card",
    "POST /api/card/:id/query": "query_card",
    "GET /api/dashboard/:id": "get_dashboard",
    "POST /api/dashboard": "create_dashboard",
    "PUT /api/dashboard/:id": "update_dashboard",
    "POST /api/dashboard/:id/dashcard/:dashcard_id/card/:card_id/query": "query_dashcard",
}
QUERY_KEYS = {
    "collection_items": {"models", "archived"},
    "get_card": {"legacy-mbql"},
    "database_metadata": {"include_hidden"},
}
UNLOADABLE = (
    "java.lang.UnsatisfiedLinkError: /tmp/libduckdb_java14693240812412.so: "
    "/tmp/libduckdb_java14693240812412.so: failed to map segment from shared object"
)
BASE_TYPES = (
    (r"\[\d*\]$", "type/Array"),
    (r"BOOL", "type/Boolean"),
    (r"HUGEINT|BIGINT", "type/BigInteger"),
    (r"INT", "type/Integer"),
    (r"DECIMAL", "type/Decimal"),
    (r"DOUBLE|FLOAT", "type/Float"),
    (r"VARCHAR", "type/Text"),
    (r"TIMESTAMP WITH TIME ZONE", "type/DateTimeWithTZ"),
    (r"TIMESTAMP", "type/DateTime"),
    (r"DATE", "type/Date"),
)


def base_type(database_type: str) -> str:
    """Metabase's type of a DuckDB type (the driver's `database-type->base-type`)."""
    return next((base for pattern, base in BASE_TYPES if re.search(pattern, database_type)), "type/*")


@dataclass
class Modes:
    """How the server misbehaves."""

    health_failures: int = 0  # 503 "initializing" before the health check is green
    properties_failures: int = 0  # failing properties after that
    reset_connections: int = 0  # connections dropped without an answer once it is up
    gateway_errors: int = 0  # 502 on the next GETs
    hide_setup_token: bool = False
    driver_missing: bool = False
    library_mount_noexec: bool = False  # java.io.tmpdir cannot hold a library, as a Docker tmpfs without exec
    refuse_connection: str = ""  # what the next connection test says
    version: str = "v0.63.2"
    tags_as_list: bool = True  # template-tags in MBQL 5 answers: list since 0.63, map before
    store_empty_queries: bool = False
    metadata_polls: int = 1  # polls after a sync until tables show up; their columns come one poll later
    lost_columns: set[tuple[str, str]] = field(default_factory=set)  # absent however often it syncs
    lost_until_syncs: dict[tuple[str, str], int] = field(default_factory=dict)  # absent until the n-th sync
    failing_queries: dict[str, int] = field(default_factory=dict)  # card name -> HTTP status (202 or 400)
    fail_write: int = 0  # the n-th write answers 500
    drop_answer_of_write: int = 0  # the n-th write is done, its answer lost
    today: date = date(2026, 3, 15)


@dataclass(frozen=True)
class Logged:
    """One request as it came in."""

    method: str
    path: str
    body: Any
    status: int


class _Answer(Exception):
    """Ends a request with a status and a body."""

    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(status)
        self.status, self.body = status, body


class MetabaseServer:
    """Start with `with MetabaseServer() as server:`; `server.url` is its address."""

    def __init__(self, modes: Modes | None = None, *, files: dict[str, str] | None = None) -> None:
        """`files` maps a database path as the container sees it to the local one."""
        self.modes = modes or Modes()
        self.files = files or {}
        self.violations: list[str] = []
        self.log: list[Logged] = []
        self.setup_token: str | None = str(uuid.uuid4())
        self.users: dict[str, str] = {}
        self.sessions: set[str] = set()
        self.api_keys: dict[str, bool] = {}
        self.settings: Json = {"anon-tracking-enabled": True, "site-name": "Metabase"}
        self.databases: dict[int, Json] = {}
        self.field_ids: dict[tuple[int, str, str, str], int] = {}
        self.table_ids: dict[tuple[int, str, str], int] = {}
        self.syncs: dict[int, int] = {}
        self.polls: dict[int, int] = {}
        self.collections: dict[int, Json] = {}
        self.cards: dict[int, Json] = {}
        self.dashboards: dict[int, Json] = {}
        self._random = random.Random(63)
        self._last_id = 100
        self._failed_logins = 0
        self._writes = 0
        self._lock = threading.RLock()
        self.trash_id = self._add_collection("Trash", type="trash")["id"]
        self._add_collection("Analytics Admin's Personal Collection", personal_owner_id=1)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> MetabaseServer:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    # For tests

    def writes(self) -> list[str]:
        """Requests so far that change something (`POST /api/card`), in order; sign-in, sync and queries are
        none."""
        harmless = re.compile(r"/query$|/sync_schema$|^/api/session$")
        return [
            f"{entry.method} {entry.path}"
            for entry in self.log
            if entry.method != "GET" and not harmless.search(entry.path)
        ]

    def forget_log(self) -> None:
        """Start counting requests anew."""
        self.log.clear()
        self._writes = 0

    def assert_clean(self) -> None:
        """No request broke a rule, and what is stored is consistent."""
        names = [(card["collection_id"], card["name"]) for card in self.cards.values() if not card["archived"]]
        doubled = {name for name in names if names.count(name) > 1}
        problems = [*self.violations, *(f"two cards named {name}" for name in doubled)]
        problems += [
            f"{e.status} on {e.method} {e.path}" for e in self.log if e.status in (404, 405) and not _may_miss(e)
        ]
        for dashboard in self.dashboards.values():
            if not dashboard["archived"]:
                problems += self._inert_filters(dashboard)
        assert not problems, "\n".join(problems)

    def add_user(self, email: str, password: str) -> None:
        """An administrator, as if setup had been done by hand."""
        self.users[email] = password
        self.setup_token = None

    def add_api_key(self, *, admin: bool = True) -> str:
        """An API key made by hand."""
        key = "mb_" + secrets.token_urlsafe(24).replace("-", "A").replace("_", "B") + "="
        self.api_keys[key] = admin
        return key

    def add_own_card(self, name: str, collection_id: int | None = None, **extra: Any) -> Json:
        """A card that a person saved in Metabase."""
        card = {
            "id": self._next_id(), "entity_id": self._nano_id(), "name": name, "description": None,
            "display": "table", "type": "question", "visualization_settings": {},
            "collection_id": collection_id,
            "archived": False, "parameters": [], "dashboard_id": None, "columns": {},
            "dataset_query": {"type": "native", "database": 1, "native": {"query": "select 1"}},
            **extra,
        }  # fmt: skip
        self.cards[card["id"]] = card
        return card

    def add_own_dashboard(self, name: str, collection_id: int | None = None, **extra: Any) -> Json:
        """A dashboard that a person made in Metabase."""
        dashboard = {**self._new_dashboard(name, None, collection_id), **extra}
        self.dashboards[dashboard["id"]] = dashboard
        return dashboard

    def card_named(self, name: str) -> Json:
        """The unarchived card of that name."""
        return next(card for card in self.cards.values() if card["name"] == name and not card["archived"])

    def dashboard_named(self, name: str) -> Json:
        """The unarchived dashboard of that name."""
        return next(item for item in self.dashboards.values() if item["name"] == name and not item["archived"])

    # HTTP

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_args: object) -> None:
                """Silence: the log is `server.log`."""

            def _serve(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                raw = self.rfile.read(length) if length else b""
                with server._lock:
                    status, body = server._dispatch(self.command, self.path, self.headers, raw)
                if status == 0:
                    self.close_connection = True
                    self.connection.close()
                    return
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

        return Handler

    def _dispatch(self, method: str, target: str, headers: Any, raw: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        path, query = parts.path, parse_qs(parts.query)
        body: Any = None
        try:
            route, ids = self._route(method, path)
            self._boot(path)
            body = self._parse_body(method, headers, raw)
            self._authenticate(path, route, method, headers)
            if unknown := query.keys() - QUERY_KEYS.get(ROUTES[route], set()):
                self._violation(f"{route}: query keys {sorted(unknown)}")
            if route in BODIES and not (body is None and route.endswith("sync_schema")):
                self._check_schema(route, body)
            elif body is not None and route not in BODIES:
                self._violation(f"{route} takes no body")
            status, answer = self._perform(route, ids, body, query)
        except _Answer as result:
            status, answer = result.status, result.body
        self.log.append(Logged(method, path, body, status))
        return status, answer

    def _perform(self, route: str, ids: list[Any], body: Any, query: dict[str, list[str]]) -> tuple[int, Any]:
        write = route.startswith(("POST", "PUT", "DELETE")) and not route.endswith(
            ("/query", "/sync_schema", "/api/session", "/api/setup")
        )
        if write:
            self._writes += 1
            if self._writes == self.modes.fail_write:
                self.modes.fail_write = 0
                raise _Answer(500, {"message": "something went wrong"})
        handler = getattr(self, f"_{ROUTES[route]}")
        arguments = [
            *ids,
            *([body] if route in BODIES else []),
            *([query] if ROUTES[route] in QUERY_KEYS else []),
        ]
        answer = handler(*arguments)
        if write and self._writes == self.modes.drop_answer_of_write:
            self.modes.drop_answer_of_write = 0
            raise _Answer(0)
        return answer if isinstance(answer, tuple) else (200, answer)

    def _route(self, method: str, path: str) -> tuple[str, list[Any]]:
        for route in ROUTES:
            verb, _, pattern = route.partition(" ")
            regex = re.sub(r":\w+", r"([^/]+)", pattern)
            match = re.fullmatch(regex, path)
            if verb == method and match:
                values = match.groups()
                if pattern.endswith(":key"):
                    return route, list(values)
                nano = method == "GET" and "database" not in pattern
                if all(value.isdigit() or (nano and NANO_ID.fullmatch(value)) for value in values):
                    return route, [int(value) if value.isdigit() else value for value in values]
        raise _Answer(404, "API endpoint does not exist.")

    def _boot(self, path: str) -> None:
        modes = self.modes
        if modes.health_failures > 0:
            if path == "/api/health":
                modes.health_failures -= 1
                raise _Answer(503, {"status": "initializing", "progress": 0.4})
            raise _Answer(503, "Metabase is still initializing. Please sit tight...")
        if path == "/api/session/properties" and modes.properties_failures > 0:
            modes.properties_failures -= 1
            raise _Answer(0 if modes.properties_failures % 2 else 503, "not yet")
        if path in OPEN_PATHS:
            return
        if modes.reset_connections > 0:
            modes.reset_connections -= 1
            raise _Answer(0)
        if modes.gateway_errors > 0:
            modes.gateway_errors -= 1
            raise _Answer(502, "Bad Gateway")

    def _parse_body(self, method: str, headers: Any, raw: bytes) -> Any:
        if not raw:
            return None
        if method == "GET" or not str(headers.get("Content-Type", "")).startswith("application/json"):
            self._violation(f"{method} with a body that is not JSON")

        def unique(pairs: list[tuple[str, Any]]) -> Json:
            if len(dict(pairs)) != len(pairs):
                self._violation("duplicate keys in JSON")
            return dict(pairs)

        def refuse(constant: str) -> None:
            self._violation(f"{constant} in JSON")

        body = json.loads(raw, object_pairs_hook=unique, parse_constant=refuse)
        if not isinstance(body, dict):
            self._violation("the body is not a JSON object")
        return body

    def _authenticate(self, path: str, route: str, method: str, headers: Any) -> None:
        if path in OPEN_PATHS and method != "DELETE":
            return
        key = headers.get("X-API-Key")
        if headers.get("X-Metabase-Session") in self.sessions:
            return
        if key not in self.api_keys:
            raise _Answer(401, "Unauthenticated")
        if not self.api_keys[key] and ("setting" in route or ("database" in route and method != "GET")):
            raise _Answer(403, "You don't have permissions to do that.")

    def _check_schema(self, route: str, body: Any) -> None:
        errors = {}
        for error in Draft202012Validator(BODIES[route]).iter_errors(body):
            deepest = max([error, *_leaves(error)], key=lambda leaf: len(leaf.absolute_path))
            where = "/".join(map(str, deepest.absolute_path)) or "body"
            errors[where] = deepest.message[:200]
        if errors:
            self._violation(f"{route}: {errors}", errors)

    def _violation(self, text: str, errors: Json | None = None) -> None:
        self.violations.append(text)
        errors = errors or {"body": text}
        raise _Answer(400, {"errors": errors, "specific-errors": {key: [value] for key, value in errors.items()}})

    def _require(self, ok: object, text: str) -> None:
        if not ok:
            self._violation(text)

    # Sign-in and settings

    def _health(self) -> Json:
        return {"status": "ok"}

    def _properties(self) -> Json:
        return {
            **self.settings,
            "has-user-setup": bool(self.users),
            "setup-token": None if self.modes.hide_setup_token else self.setup_token,
            "version": {"tag": self.modes.version},
            "engines": {},
        }

    def _setup(self, body: Json) -> Json:
        if self.users:
            raise _Answer(403, "The /api/setup route can only be used to create the first user")
        if body["token"] != self.setup_token:
            raise _Answer(400, {"errors": {"token": "Token does not match the setup token."}})
        password = body["user"]["password"]
        if len(password) < 6 or not re.search(r"\d", password) or password in COMMON_PASSWORDS:
            # As the real server: the answer quotes what was rejected.
            quoted = {"password": [f"password is too common, received: {json.dumps(password)}"]}
            raise _Answer(
                400,
                {
                    "errors": {"password": f"password is too common ({password})"},
                    "specific-errors": {"user": quoted},
                },
            )
        self.users[body["user"]["email"]] = password
        self.setup_token = None
        self.settings |= {"anon-tracking-enabled": True, "site-name": body["prefs"]["site_name"]}
        return self._new_session()

    def _new_session(self) -> Json:
        session = str(uuid.uuid4())
        self.sessions.add(session)
        return {"id": session}

    def _log_in(self, body: Json) -> Json:
        if self._failed_logins > 5:
            raise _Answer(
                400,
                {"errors": {"username": "Too many attempts! You must wait 15 seconds before trying again."}},
            )
        if self.users.get(body["username"]) != body["password"]:
            self._failed_logins += 1
            raise _Answer(401, {"errors": {"password": "did not match stored password"}})
        return self._new_session()

    def _log_out(self) -> tuple[int, None]:
        self.sessions.clear()
        return 204, None

    def _set_setting(self, key: str, body: Json) -> tuple[int, None]:
        self._require(key in self.settings, f"unknown setting {key}")
        self.settings[key] = body["value"]
        return 204, None

    # Database

    def _list_databases(self) -> Json:
        data = [{**database, "features": [], "tables_count": 0} for database in self.databases.values()]
        return {"data": data, "total": len(data)}

    def _create_database(self, body: Json) -> Json:
        if self.modes.driver_missing:
            raise _Answer(400, {"errors": {"engine": "value must be a valid database engine."}})
        names = [database["name"] for database in self.databases.values()]
        self._require(body["name"] not in names, f"a second database named {body['name']}")
        self._test_connection(body["details"])
        database = {
            "id": self._next_id(),
            "name": body["name"],
            "engine": "duckdb",
            "details": body["details"],
            "initial_sync_status": "complete",
        }
        self.databases[database["id"]] = database
        return database

    def _update_database(self, database_id: int, body: Json) -> Json:
        database = self._found(self.databases, database_id)
        if body.get("details"):
            self._test_connection(body["details"])
        database |= {key: value for key, value in body.items() if value is not None}
        return database

    def _test_connection(self, details: Json) -> None:
        if self.modes.refuse_connection:
            message, self.modes.refuse_connection = self.modes.refuse_connection, ""
            raise _Answer(400, {"message": message, "errors": {}})
        self._require(details["database_file"].startswith("/"), "database_file is not absolute")
        if "let-user-control-scheduling" in details:  # the driver passes on what it does not know
            raise _Answer(
                400, {"message": "The following options were not recognized: let-user-control-scheduling", "errors": {}}
            )
        if self.modes.library_mount_noexec:
            raise _Answer(400, {"message": UNLOADABLE, "errors": {}})
        options = parse_qs(details.get("additional-options", ""), keep_blank_values=True)
        self._require(options.keys() <= OPTIONS_IN_URL, f"unknown additional-options {sorted(options)}")
        self._require("temp_directory" in options, "temp_directory: <file>.tmp is not writable on a read-only mount")
        try:
            with self._open(details) as connection:
                connection.execute("select 1")
        except duckdb.Error as error:
            raise _Answer(400, {"message": str(error), "errors": {"database_file": "check your connection"}}) from None

    @contextlib.contextmanager
    def _open(self, details: Json) -> Iterator[duckdb.DuckDBPyConnection]:
        path = self.files.get(details["database_file"], details["database_file"])
        config = {"old_implicit_casting": details.get("old_implicit_casting", False)}
        if "memory_limit" in details:
            config["memory_limit"] = details["memory_limit"]
        connection = duckdb.connect(path, read_only=True, config=config)
        try:
            connection.execute("set TimeZone = 'UTC'")
            yield connection
        finally:
            connection.close()

    def _sync_database(self, database_id: int, _body: Any = None) -> Json:
        self._found(self.databases, database_id)
        self.syncs[database_id] = self.syncs.get(database_id, 0) + 1
        self.polls.setdefault(database_id, 0)
        return {"status": "ok"}

    def _columns(self, database: Json) -> list[tuple[str, str, str, str]]:
        """(schema, table, column, type) of what Metabase knows now."""
        syncs = self.syncs.get(database["id"], 0)
        if not syncs:
            return []
        with self._open(database["details"]) as connection:
            rows = connection.execute(
                "select table_schema, table_name, column_name, data_type from information_schema.columns "
                "where table_schema not in ('information_schema', 'pg_catalog') order by all"
            ).fetchall()
        lost = self.modes.lost_columns | {
            column for column, until in self.modes.lost_until_syncs.items() if syncs < until
        }
        return [row for row in rows if (row[1], row[2]) not in lost]

    def _database_metadata(self, database_id: int, _query: Any) -> Json:
        database = self._found(self.databases, database_id)
        self.polls[database_id] = polls = self.polls.get(database_id, 0) + 1
        tables: dict[tuple[str, str], Json] = {}
        for schema, table, column, database_type in self._columns(database):
            if polls <= self.modes.metadata_polls:
                break
            key = (database_id, schema, table)
            self.table_ids.setdefault(key, self._next_id())
            entry = tables.setdefault(
                (schema, table),
                {
                    "id": self.table_ids[key],
                    "name": table,
                    "schema": schema,
                    "db_id": database_id,
                    "fields": [],
                },
            )
            if polls <= self.modes.metadata_polls + 1:
                continue  # tables show up before their columns
            self.field_ids.setdefault((*key, column), self._next_id())
            entry["fields"].append(
                {
                    "id": self.field_ids[(*key, column)],
                    "name": column,
                    "base_type": base_type(database_type),
                    "database_type": database_type,
                    "active": True,
                }
            )
        return {"id": database_id, "name": database["name"], "tables": list(tables.values())}

    # Collections

    def _add_collection(self, name: str, **extra: Any) -> Json:
        collection = {
            "id": self._next_id(), "entity_id": self._nano_id(), "name": name, "description": None,
            "archived": False, "type": None, "personal_owner_id": None, "location": "/", "parent_id": None,
            **extra,
        }  # fmt: skip
        self.collections[collection["id"]] = collection
        return collection

    def _list_collections(self) -> list[Json]:
        root = {"id": "root", "name": "Our analytics", "can_write": True}
        return [root, *(item for item in self.collections.values() if not item["archived"])]

    def _create_collection(self, body: Json) -> Json:
        names = [item["name"] for item in self.collections.values() if not item["archived"]]
        self._require(body["name"] not in names, f"a second collection named {body['name']}")
        return self._add_collection(**{key: value for key, value in body.items() if key != "namespace"})

    def _update_collection(self, collection_id: int, body: Json) -> Json:
        collection = self._found(self.collections, collection_id)
        collection |= {key: value for key, value in body.items() if value is not None}
        return collection

    def _trash(self) -> Json:
        return self.collections[self.trash_id]

    def _collection_items(self, collection_id: int | str, query: dict[str, list[str]]) -> Json:
        collection = self._found(self.collections, collection_id)
        models = set(query.get("models", ["card", "dashboard"]))
        archived = query.get("archived", ["false"]) == ["true"]
        trash = collection["id"] == self.trash_id
        data = [
            {"id": item["id"], "name": item["name"], "description": item["description"], "model": model,
             "entity_id": item["entity_id"], "collection_id": item["collection_id"], 
             "archived": item["archived"], "can_write": True}
            for model, items in (("card", self.cards), ("dashboard", self.dashboards))
            for item in items.values()
            if model in models
            and item["archived"] == archived
            and (trash or item["collection_id"] == collection["id"])
            and not item.get("dashboard_id")
        ]  # fmt: skip
        return {"data": data, "total": len(data), "limit": None, "offset": None, "models": sorted(models)}

    def _usable_collection(self, collection_id: Any) -> None:
        collection = self.collections.get(collection_id)
        ok = (
            collection and not collection["archived"] and not collection["type"] and not collection["personal_owner_id"]
        )
        self._require(ok, f"collection_id {collection_id} is no usable collection")

    # Cards

    def _get_card(self, card_id: int | str, query: dict[str, list[str]]) -> Json:
        card = self._found(self.cards, card_id)
        return self._card_answer(card, legacy=query.get("legacy-mbql") == ["true"])

    def _create_card(self, body: Json) -> Json:
        entity_id = body.get("entity_id") or self._nano_id()
        self._require(
            entity_id not in {card["entity_id"] for card in self.cards.values()},
            f"entity_id {entity_id} is taken",
        )
        card: Json = {
            "id": self._next_id(), "description": None, "type": "question", "collection_id": None,
            "archived": False, "parameters": [], "dashboard_id": None, **body, "entity_id": entity_id,
        }  # fmt: skip
        self._store_card(card, body)
        return self._card_answer(card)

    def _update_card(self, card_id: int, body: Json) -> Json:
        card = self._found(self.cards, card_id)
        self._store_card({**card, **body}, body)
        return self._card_answer(self.cards[card_id])

    def _store_card(self, card: Json, body: Json) -> None:
        if "collection_id" in body:
            self._usable_collection(body["collection_id"])
        if "dataset_query" in body:
            query = self._legacy(body["dataset_query"])
            card["dataset_query"] = query
            self._check_query(query)
            self._check_card_parameters(body.get("parameters") or [], query)
            card["columns"] = {name: base_type(kind) for name, kind in self._describe(query)}
        if not card["archived"]:
            found = visualization.problems(card["display"], card["visualization_settings"], card["columns"])
            self._require(not found, f'card "{card["name"]}": {"; ".join(found)}')
        self.cards[card["id"]] = card

    def _legacy(self, query: Json) -> Json:
        """Both request forms as the legacy one. Mixing them is an error 500 in Metabase, too."""
        legacy = "native" in query
        native = query["native"] if legacy else query["stages"][0]
        tags = native.get("template-tags") or {}
        for tag in tags.values():
            if tag["type"] == "dimension" and isinstance(tag["dimension"][1], int) is not legacy:
                self.violations.append("legacy and MBQL 5 field references mixed")
                raise _Answer(500, {"message": "Assert failed"})
        if legacy:
            return query
        tags = {
            name: {**tag, "dimension": ["field", tag["dimension"][2], None]} if "dimension" in tag else tag
            for name, tag in tags.items()
        }
        native = {"query": native["native"], "template-tags": tags}
        return {"type": "native", "database": query["database"], "native": native}

    def _field(self, database_id: int, field_id: int) -> tuple[str, str, str, str]:
        """(schema, table, column, base type) of an active field."""
        key = next(
            (key for key, value in self.field_ids.items() if value == field_id and key[0] == database_id),
            None,
        )
        self._require(key, f"field {field_id} does not exist in database {database_id}")
        _, schema, table, column = key
        active = {row[:3]: row[3] for row in self._columns(self.databases[database_id])}
        self._require(key[1:] in active, f"field {column} of {table} is not active")
        return schema, table, column, base_type(active[key[1:]])

    def _check_query(self, query: Json) -> None:
        self._require(query["database"] in self.databases, f"database {query['database']} does not exist")
        sql, tags = query["native"]["query"], query["native"].get("template-tags") or {}
        found = native_query.problems(sql, tags)
        ids = [tag["id"] for tag in tags.values()]
        if len(set(ids)) != len(ids) or not all(map(_is_uuid, ids)):
            found.append(f"tag ids {ids} are not different uuids")
        for name, tag in tags.items():
            if tag["type"] != "dimension":
                continue
            _, table, column, base = self._field(query["database"], tag["dimension"][1])
            if not re.search(rf"\b{re.escape(table)}\b", sql) and not tag.get("alias"):
                found.append(f"field filter {name}: {table} is not in the SQL")
            if not _widget_fits(tag["widget-type"], base):
                found.append(f"field filter {name}: widget {tag['widget-type']} on {column}, a {base}")
        self._require(not found, f"query {sql!r}: {'; '.join(found)}")

    def _check_card_parameters(self, parameters: list[Json], query: Json) -> None:
        tags = query["native"].get("template-tags") or {}
        slugs = [parameter["slug"] for parameter in parameters]
        self._require(len(set(slugs)) == len(slugs), "parameter slugs are not unique")
        for parameter in parameters:
            self._require(parameter.get("target"), f"parameter {parameter['slug']} has no target")
            self._check_target(parameter["target"], parameter["type"], tags)

    def _check_target(self, target: list[Any], parameter_type: str, tags: Json) -> None:
        if target[0] == "text-tag":
            return
        reference = target[1]
        self._require(reference[0] == "template-tag" and reference[1] in tags, f"target {target}: no such tag")
        tag = tags[reference[1]]
        wrapper = "dimension" if tag["type"] == "dimension" else "variable"
        self._require(target[0] == wrapper, f"target {target}: the tag needs {wrapper}")
        kind = tag["widget-type"] if tag["type"] == "dimension" else tag["type"]
        self._require(kind in ALLOWED_FOR[parameter_type], f"a {parameter_type} filter cannot drive a {kind} tag")

    def _compile(self, query: Json, values: Json) -> str:
        tags = query["native"].get("template-tags") or {}

        def identifier(tag: Json) -> tuple[str, str]:
            schema, table, column, base = self._field(query["database"], tag["dimension"][1])
            return f'"{schema}"."{table}"."{column}"', base

        return native_query.compile_sql(query["native"]["query"], tags, values, identifier, today=self.modes.today)

    def _describe(self, query: Json) -> list[tuple[str, str]]:
        """Output columns of a query, which is run with no filter and bound with all."""
        tags = query["native"].get("template-tags") or {}
        every = {name: _sample_value(tag) for name, tag in tags.items()}
        with self._open(self.databases[query["database"]]["details"]) as connection:
            try:
                if not any(self._needs_value(query, tag) for tag in tags.values()):
                    connection.execute(self._compile(query, {})).fetchmany(1)
                result = connection.execute(f"describe {self._compile(query, every)}").fetchall()
            except duckdb.Error as error:
                self._violation(f"query {query['native']['query']!r} fails: {error}")
        return [(row[0], row[1]) for row in result]

    @staticmethod
    def _needs_value(query: Json, tag: Json) -> bool:
        outside = native_query.OPTIONAL.sub("", query["native"]["query"])
        plain = tag["type"] != "dimension" and tag["name"] in native_query.TAG.findall(outside)
        return plain and tag.get("default") in (None, "")

    def _card_answer(self, card: Json, *, legacy: bool = False) -> Json:
        query = card["dataset_query"]
        if self.modes.store_empty_queries:
            shown: Json = {}
        elif legacy:
            shown = query
        else:
            tags: Any = {
                name: {**tag, "dimension": ["field", {"lib/uuid": str(uuid.uuid4())}, tag["dimension"][1]]}
                if "dimension" in tag
                else tag
                for name, tag in (query["native"].get("template-tags") or {}).items()
            }
            stage = {
                "lib/type": "mbql.stage/native",
                "native": query["native"]["query"],
                "template-tags": list(tags.values()) if self.modes.tags_as_list else tags,
            }
            shown = {"lib/type": "mbql/query", "database": query["database"], "stages": [stage]}
        return {
            **{key: value for key, value in card.items() if key != "columns"},
            "dataset_query": shown,
            "query_type": "native",
            "result_metadata": [],
            "creator": {"id": 1, "common_name": "Analytics Admin"},
            "can_write": True,
            "updated_at": "2026-03-15T10:00:00Z",
            "cache_ttl": None,
        }

    def _query_card(self, card_id: int, body: Json) -> tuple[int, Any]:
        return self._run(self._found(self.cards, card_id), body.get("parameters") or [], {})

    def _run(self, card: Json, parameters: list[Json], mapped: dict[str, str]) -> tuple[int, Any]:
        """Run a card. `parameters` carry a target of their own, or an id that `mapped` leads to a tag."""
        failure = self.modes.failing_queries.get(card["name"])
        if failure == 400:
            return 400, {"message": "Invalid query: unknown table"}
        if failure:
            return failure, {
                "status": "failed",
                "error": "Binder Error: column not found",
                "data": {"rows": []},
            }
        values = {}
        for parameter in parameters:
            tag = parameter["target"][1][1] if parameter.get("target") else mapped.get(parameter.get("id", ""))
            if tag:
                values[tag] = parameter.get("value")
        try:
            sql = self._compile(card["dataset_query"], values)
            with self._open(self.databases[card["dataset_query"]["database"]]["details"]) as connection:
                rows = connection.execute(sql).fetchmany(2000)
                columns = [{"name": column[0]} for column in connection.description]
            drawn = visualization.drawing_problems(
                card["display"], card["visualization_settings"], [column["name"] for column in columns], rows
            )
            self.violations += [f'"{card["name"]}" with {values}: {problem}' for problem in drawn]
        except (duckdb.Error, native_query.MissingValueError) as error:
            return 202, {"status": "failed", "error": str(error), "data": {"rows": [], "cols": []}}
        shown = [
            [value if isinstance(value, int | float | str | None) else str(value) for value in row] for row in rows
        ]
        return 202, {"status": "completed", "row_count": len(rows), "data": {"rows": shown, "cols": columns}}

    # Dashboards

    def _new_dashboard(self, name: str, description: str | None, collection_id: int | None) -> Json:
        return {
            "id": self._next_id(), "entity_id": self._nano_id(), "name": name, "description": description,
            "collection_id": collection_id, "collection_position": None, "archived": False, "parameters": [],
            "dashcards": [], "tabs": [], "width": "fixed", "auto_apply_filters": True,
        }  # fmt: skip

    def _create_dashboard(self, body: Json) -> Json:
        self._usable_collection(body.get("collection_id"))
        dashboard = {**self._new_dashboard(body["name"], None, None), **body}
        self.dashboards[dashboard["id"]] = dashboard
        return self._dashboard_answer(dashboard)

    def _get_dashboard(self, dashboard_id: int | str) -> Json:
        return self._dashboard_answer(self._found(self.dashboards, dashboard_id))

    def _dashboard_answer(self, dashboard: Json) -> Json:
        dashcards = [
            {
                **dashcard,
                "dashboard_id": dashboard["id"],
                "card": self._card_answer(self.cards[dashcard["card_id"]]) if dashcard["card_id"] else None,
                "created_at": "2026-03-15T10:00:00Z",
            }
            for dashcard in dashboard["dashcards"]
        ]
        self._random.shuffle(dashcards)
        return {**dashboard, "dashcards": dashcards, "can_write": True, "updated_at": "2026-03-15T10:00:00Z"}

    def _update_dashboard(self, dashboard_id: int, body: Json) -> Json:
        stored = self._found(self.dashboards, dashboard_id)
        dashboard = {
            **stored,
            **{key: value for key, value in body.items() if key not in ("dashcards", "tabs")},
        }
        if "collection_id" in body:
            self._usable_collection(body["collection_id"])
        if body.get("parameters") is not None:
            self._check_parameters(dashboard["parameters"])
        if "dashcards" in body:
            if stored["archived"]:
                raise _Answer(404, {"message": "The object has been archived.", "error_code": "archived"})
            self._require("tabs" in body or not stored["tabs"], "dashcards without tabs wipe the tabs")
            tab_ids = self._store_tabs(dashboard, body.get("tabs") or [])
            self._store_dashcards(dashboard, stored, body["dashcards"], tab_ids)
        self.dashboards[dashboard_id] = dashboard
        return self._dashboard_answer(dashboard)

    def _check_parameters(self, parameters: list[Json]) -> None:
        for key in ("id", "slug"):
            values = [parameter[key] for parameter in parameters]
            self._require(len(set(values)) == len(values), f"parameter {key}s are not unique")
        ids = {parameter["id"] for parameter in parameters}
        for parameter in parameters:
            slug, kind = parameter["slug"], parameter["type"]
            if parameter.get("required"):
                self._require(parameter.get("default") is not None, f"required filter {slug} has no default")
            if parameter.get("default") is not None:
                self._require(self._default_fits(kind, parameter["default"]), f"default of filter {slug}")
            section = {"date": "date", "string": "string", "number": "number"}.get(kind.partition("/")[0])
            self._require(section is None or parameter.get("sectionId") == section, f"sectionId of filter {slug}")
            self._require(set(parameter.get("filteringParameters") or []) <= ids, f"filteringParameters of {slug}")
            source, config = parameter.get("values_source_type"), parameter.get("values_source_config") or {}
            if source == "static-list":
                self._require(config.get("values"), f"filter {slug}: an empty list of values")
            if source == "card":
                card = self.cards.get(config.get("card_id"))
                self._require(card and not card["archived"], f"filter {slug}: its values' card does not exist")
                column = (config.get("value_field") or [None, None])[1]
                self._require(column in card["columns"], f"filter {slug}: {column} is not in its values' card")

    def _default_fits(self, kind: str, default: Any) -> bool:
        if kind.startswith("date/"):
            try:
                native_query.date_range(default, self.modes.today)
            except (ValueError, TypeError, AttributeError):
                return False
            return True
        if kind in ("string/=", "string/!=", "string/contains"):
            return isinstance(default, list) and bool(default)
        return True

    def _store_tabs(self, dashboard: Json, tabs: list[Json]) -> dict[int, int]:
        """Replace the tabs; returns id as sent -> real id."""
        held = {tab["id"] for tab in dashboard["tabs"]}
        ids = [tab["id"] for tab in tabs]
        self._require(len(set(ids)) == len(ids), "tab ids are not unique")
        self._require({tab_id for tab_id in ids if tab_id > 0} <= held, "a tab id of another dashboard")
        real = {tab_id: tab_id if tab_id > 0 else self._next_id() for tab_id in ids}
        dashboard["tabs"] = [
            {"id": real[tab["id"]], "name": tab["name"], "position": position} for position, tab in enumerate(tabs)
        ]
        return real

    def _store_dashcards(self, dashboard: Json, stored: Json, dashcards: list[Json], tab_ids: dict[int, int]) -> None:
        held = {dashcard["id"]: dashcard for dashcard in stored["dashcards"]}
        ids = [dashcard["id"] for dashcard in dashcards]
        self._require(len(set(ids)) == len(ids) and 0 not in ids, "dashcard ids are not unique")
        self._require({item for item in ids if item > 0} <= held.keys(), "a dashcard id of another dashboard")
        parameters = {parameter["id"]: parameter for parameter in dashboard["parameters"]}
        kept = []
        for sent in dashcards:
            dashcard = {"card_id": None, "series": [], "parameter_mappings": [], "visualization_settings": {},
                        "dashboard_tab_id": None, "inline_parameters": [], **sent}  # fmt: skip
            if tab_ids:
                if len(tab_ids) == 1 and dashcard["dashboard_tab_id"] is None:
                    dashcard["dashboard_tab_id"] = next(iter(tab_ids))
                if dashcard["dashboard_tab_id"] not in tab_ids:
                    raise _Answer(400, {"message": "This dashboard has tab, makes sure every card has a tab"})
                dashcard["dashboard_tab_id"] = tab_ids[dashcard["dashboard_tab_id"]]
            else:
                self._require(dashcard["dashboard_tab_id"] is None, "dashboard_tab_id without tabs")
            if sent["id"] > 0:
                self._require(held[sent["id"]]["card_id"] == dashcard["card_id"], "a dashcard changed its card")
            self._check_dashcard(dashcard, parameters)
            kept.append({**dashcard, "id": sent["id"] if sent["id"] > 0 else self._next_id()})
        self._check_geometry(kept)
        dashboard["dashcards"] = kept
        gone = [held[item] for item in held.keys() - set(ids)]
        inline = {name for dashcard in gone for name in dashcard["inline_parameters"] or []}
        dashboard["parameters"] = [item for item in dashboard["parameters"] if item["id"] not in inline]

    def _check_dashcard(self, dashcard: Json, parameters: dict[str, Json]) -> None:
        settings = dashcard["visualization_settings"] or {}
        if dashcard["card_id"] is None:
            kind = (settings.get("virtual_card") or {}).get("display")
            self._require(kind in ("heading", "text", "link", "iframe"), "a dashcard without a card")
            self._require(kind not in ("heading", "text") or settings.get("text"), "a text tile without text")
            self._require(not dashcard["parameter_mappings"], "a text tile with filters")
            return
        card = self.cards.get(dashcard["card_id"])
        self._require(card and not card["archived"], f"card {dashcard['card_id']} does not exist or is archived")
        smallest = {"scalar": (2, 2), "smartscalar": (2, 2)}.get(card["display"], (4, 3))
        big = dashcard["size_x"] >= smallest[0] and dashcard["size_y"] >= smallest[1]
        self._require(big, f'"{card["name"]}" is smaller than {smallest}')
        found = visualization.problems(card["display"], settings, card["columns"], dashcard=True)
        self._require(not found, f'tile of "{card["name"]}": {"; ".join(found)}')
        for series in dashcard["series"]:
            self._require(series["id"] in self.cards and card["display"] in ("line", "area", "bar"), "series")
        self._require(set(dashcard["inline_parameters"] or []) <= parameters.keys(), "inline_parameters")
        tags = card["dataset_query"]["native"].get("template-tags") or {}
        seen = set()
        for mapping in dashcard["parameter_mappings"]:
            parameter = parameters.get(mapping["parameter_id"])
            self._require(parameter, f"mapping to an unknown filter {mapping['parameter_id']}")
            self._require(mapping.get("card_id") == card["id"], "a mapping for another card")
            self._check_target(mapping["target"], parameter["type"], tags)
            key = (mapping["parameter_id"], json.dumps(mapping["target"]))
            self._require(key not in seen, f"the same mapping twice: {key}")
            seen.add(key)

    def _check_geometry(self, dashcards: list[Json]) -> None:
        cells: set[tuple[Any, int, int]] = set()
        for dashcard in dashcards:
            self._require(dashcard["col"] + dashcard["size_x"] <= 24, "a tile reaches beyond column 24")
            for row in range(dashcard["row"], dashcard["row"] + dashcard["size_y"]):
                for column in range(dashcard["col"], dashcard["col"] + dashcard["size_x"]):
                    cell = (dashcard["dashboard_tab_id"], row, column)
                    self._require(cell not in cells, f"tiles overlap at {cell}")
                    cells.add(cell)
        for tab in {dashcard["dashboard_tab_id"] for dashcard in dashcards}:
            self._require(any(cell[0] == tab and cell[2] == 23 for cell in cells), "no row fills the width")

    def _inert_filters(self, dashboard: Json) -> list[str]:
        mapped = {
            mapping["parameter_id"]
            for dashcard in dashboard["dashcards"]
            for mapping in dashcard["parameter_mappings"] or []
        }
        return [
            f'filter {parameter["slug"]} of "{dashboard["name"]}" drives no card'
            for parameter in dashboard["parameters"]
            if parameter["id"] not in mapped
        ]

    def _query_dashcard(self, dashboard_id: int, dashcard_id: int, card_id: int, body: Json) -> tuple[int, Any]:
        dashboard = self._found(self.dashboards, dashboard_id)
        dashcard = next((item for item in dashboard["dashcards"] if item["id"] == dashcard_id), None)
        if dashcard is None or dashcard["card_id"] != card_id:
            raise _Answer(404, "Not found.")
        mapped = {mapping["parameter_id"]: mapping["target"][1][1] for mapping in dashcard["parameter_mappings"] or []}
        given = {parameter["id"]: parameter for parameter in body.get("parameters") or []}
        for parameter in dashboard["parameters"]:
            if parameter["id"] not in given and parameter.get("default") is not None:
                given[parameter["id"]] = {"id": parameter["id"], "value": parameter["default"]}
        return self._run(self.cards[card_id], list(given.values()), mapped)

    # Helpers

    def _found(self, items: dict[int, Json], key: int | str) -> Json:
        if isinstance(key, str):
            item = next((item for item in items.values() if item.get("entity_id") == key), None)
        else:
            item = items.get(key)
        if item is None:
            raise _Answer(404, "Not found.")
        return item

    def _next_id(self) -> int:
        self._last_id += self._random.randint(3, 17)
        return self._last_id

    def _nano_id(self) -> str:
        return "".join(self._random.choices(string.ascii_letters + string.digits + "_-", k=21))


def _may_miss(entry: Logged) -> bool:
    """A card is looked up by its NanoID before it exists."""
    return entry.method == "GET" and bool(re.fullmatch(r"/api/card/[A-Za-z0-9_\-]{21}", entry.path))


def _is_uuid(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text))


def _leaves(error: Any) -> list[Any]:
    return [leaf for child in error.context or [] for leaf in [child, *_leaves(child)]]


def _widget_fits(widget: str, base: str) -> bool:
    family = widget.partition("/")[0]
    if family in ("string", "category", "location"):
        return base == "type/Text"
    if family == "date":
        return base.startswith("type/Date")
    if family == "number":
        return base in visualization.NUMERIC
    return base == "type/Boolean" if family == "boolean" else True


def _sample_value(tag: Json) -> Any:
    kind = tag["widget-type"] if tag["type"] == "dimension" else tag["type"]
    samples = {"date": "2026-01-01", "number": 1, "boolean": True}
    return samples.get(kind.partition("/")[0], "sample")
