"""Metabase's REST API, as much of it as provisioning needs: start-up, sign-in, and JSON requests that fail
clearly.

No secret ever leaves this module in a message: passwords, keys and tokens are known to the client and
blanked in everything it reports, because Metabase may echo a rejected password in its answer.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from pydantic import SecretStr
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

from analytics.common.text import excerpt
from analytics.errors import AnalyticsError, ConfigError, SourceUnavailableError

READY_TIMEOUT_SECONDS = 300.0  # a cold start was seen to take 128 s
REQUEST_TIMEOUT_SECONDS = 60.0
RETRY_STATUSES = frozenset({502, 503, 504})
RETRIES = 5
API_KEY = re.compile(r"mb_[A-Za-z0-9+/=]+")
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

Progress = Callable[[str], None]
Json = Any


class MetabaseError(AnalyticsError):
    """Metabase refused a request. `status`: the HTTP status; `fields`: the names it complains about."""

    def __init__(self, message: str, *, status: int | None = None, fields: frozenset[str] = frozenset()) -> None:
        super().__init__(message)
        self.status = status
        self.fields = fields


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would carry the session header to another host: report it instead of following it."""

    def redirect_request(self, *_args: object) -> None:
        return None


class MetabaseClient:
    """A session with one Metabase server.

    Args:
        base_url: e.g. `http://localhost:3001`.
        timeout: seconds one request may take.
        sleep: waits between attempts; tests pass a faster one.
        clock: seconds that only grow; what is waited for ends by it.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = REQUEST_TIMEOUT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ConfigError(f"METABASE_URL={base_url!r}: must look like http://localhost:3001")
        if parts.username or parts.password:
            raise ConfigError("METABASE_URL: must not contain a user or password; use METABASE_ADMIN_EMAIL/_PASSWORD")
        self.base_url = base_url.rstrip("/")
        self._timeout = timeout
        self.pause = sleep
        self.clock = clock
        self._headers: dict[str, str] = {}
        self._secrets: set[str] = set()
        handlers: list[Any] = [_NoRedirect()]
        if parts.hostname in LOOPBACK_HOSTS:
            handlers.append(ProxyHandler({}))  # a corporate proxy cannot reach this machine's own ports
        self._opener = build_opener(*handlers)

    # Start-up and sign-in

    def wait_until_ready(
        self, *, timeout: float = READY_TIMEOUT_SECONDS, progress: Progress = lambda _line: None
    ) -> dict[str, Any]:
        """Wait for the health check and then for a stable answer of the public properties.

        Health turns green before the endpoints are reliable, so two good property answers in a row are
        required.

        Returns:
            `GET /api/session/properties`.

        Raises:
            SourceUnavailableError: not ready within `timeout` seconds.
        """
        deadline = self.clock() + timeout
        delay, good_answers, said = 0.25, 0, ""
        while True:
            health, state = self._probe("/api/health")
            ready = isinstance(health, dict) and health.get("status") == "ok"
            if ready:
                properties, state = self._probe("/api/session/properties")
                ready = isinstance(properties, dict) and "has-user-setup" in properties
                if not ready and state == "HTTP 200":
                    state = "not a Metabase server"
            good_answers = good_answers + 1 if ready else 0
            if good_answers >= 2:
                return properties
            if self.clock() >= deadline:
                raise SourceUnavailableError(
                    f"Metabase at {self.base_url} is not ready after {timeout:.0f} s (last answer: {state}); "
                    "start it with `make up` or correct METABASE_URL"
                )
            if not ready and state != said:
                progress(f"waiting for Metabase at {self.base_url}: {state}")
                said = state
            self.pause(0.0 if ready else delay)
            delay = min(delay * 1.5, 5.0)

    def _probe(self, path: str) -> tuple[Json, str]:
        """One GET that never raises: (JSON body or None, what happened in a few words)."""
        try:
            status, body = self._send("GET", path, None)
        except (URLError, http.client.HTTPException, OSError) as error:
            return None, _connection_problem(error)
        parsed = _parse(body)
        if status == 200:
            return parsed, "HTTP 200"
        if isinstance(parsed, dict) and parsed.get("status") == "initializing":
            return None, f"initializing, {100 * float(parsed.get('progress') or 0):.0f} %"
        return None, f"HTTP {status}"

    def use_api_key(self, key: SecretStr) -> None:
        """Authenticate every request with an API key."""
        value = key.get_secret_value()
        if not API_KEY.fullmatch(value):
            raise ConfigError("METABASE_API_KEY=(hidden): must look like mb_… as Metabase showed it when it was made")
        self._secrets.add(value)
        self._headers = {"X-API-Key": value}

    def set_up(self, token: str, email: str, password: SecretStr, *, site_name: str) -> None:
        """Create the first administrator (who is signed in by that)."""
        self._secrets |= {token, password.get_secret_value()}
        body = {
            "token": token,
            "user": {
                "email": email,
                "password": password.get_secret_value(),
                "first_name": "Analytics",
                "last_name": "Admin",
            },
            "prefs": {"site_name": site_name, "site_locale": "en"},
        }
        try:
            self._start_session(self.request("POST", "/api/setup", body))
        except MetabaseError as error:
            if error.status == 403:
                raise MetabaseError(
                    "Metabase already has a user; run the command again to sign in", status=403
                ) from None
            raise MetabaseError(
                f"Metabase did not create the first admin {email}: {error}; METABASE_ADMIN_PASSWORD needs "
                "at least 6 characters with a digit and must not be a common one",
                status=error.status,
            ) from None

    def sign_in(self, email: str, password: SecretStr) -> None:
        """Start a session."""
        self._secrets.add(password.get_secret_value())
        body = {"username": email, "password": password.get_secret_value()}
        try:
            self._start_session(self.request("POST", "/api/session", body, retry=True))
        except MetabaseError as error:
            if error.status == 401:
                raise MetabaseError(
                    f"Metabase rejected METABASE_ADMIN_EMAIL={email} with METABASE_ADMIN_PASSWORD; "
                    "correct them in .env",
                    status=401,
                ) from None
            raise MetabaseError(f"Metabase did not let {email} sign in: {error}", status=error.status) from None

    def _start_session(self, answer: Json) -> None:
        session = answer.get("id") if isinstance(answer, dict) else None
        if not isinstance(session, str) or not session:
            raise MetabaseError("Metabase answered the sign-in without a session id")
        self._secrets.add(session)
        self._headers = {"X-Metabase-Session": session}

    def sign_out(self) -> None:
        """End the session, if this client started one: sessions otherwise live for two weeks."""
        if "X-Metabase-Session" in self._headers:
            try:
                self._send("DELETE", "/api/session", None)
            except (URLError, http.client.HTTPException, OSError):
                return  # the session expires by itself
            finally:
                self._headers = {}

    # Requests

    def get(self, path: str, **query: str | int | bool | list[str]) -> Json:
        """GET `path`; None when it does not exist (404)."""
        values = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
        suffix = f"?{urlencode(values, doseq=True)}" if values else ""
        try:
            return self.request("GET", quote(path) + suffix, None, retry=True)
        except MetabaseError as error:
            if error.status == 404:
                return None
            raise

    def put(self, path: str, body: dict[str, Any]) -> Json:
        """PUT: the same body twice has the same effect, so it is retried."""
        return self.request("PUT", path, body, retry=True)

    def post(self, path: str, body: dict[str, Any] | None = None, *, retry: bool = False) -> Json:
        """POST. `retry` only where repeating it creates nothing."""
        return self.request("POST", path, body, retry=retry)

    def request(self, method: str, path: str, body: dict[str, Any] | None, *, retry: bool = False) -> Json:
        """One request, up to RETRIES more when `retry` and the server is away or overloaded.

        Returns:
            The parsed JSON answer, None for an empty one.

        Raises:
            MetabaseError: any other status than 2xx.
            SourceUnavailableError: no answer.
        """
        attempts = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_attempt(RETRIES + 1 if retry else 1),
            wait=wait_exponential(0.25, max=4),
            sleep=self.pause,
            reraise=True,
        )
        return attempts(self._answer, method, path, body)

    def _answer(self, method: str, path: str, body: dict[str, Any] | None) -> Json:
        try:
            status, answer = self._send(method, path, body)
        except (URLError, http.client.HTTPException, OSError) as error:
            raise SourceUnavailableError(
                f"Metabase at {self.base_url} does not answer {method} {_route(path)}: "
                f"{_connection_problem(error)}; run the command again when it is up"
            ) from None
        if not 200 <= status < 300:
            raise self._refusal(method, path, status, answer)
        return _parse(answer)

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        headers = {"Accept": "application/json", **self._headers}
        if data is not None:
            headers["Content-Type"] = "application/json"
        request = Request(self.base_url + path, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                return response.status, response.read()
        except HTTPError as error:
            with error:
                return error.code, error.read()

    def _refusal(self, method: str, path: str, status: int, body: bytes) -> MetabaseError:
        """The error for a non-2xx answer, in one line without secrets."""
        answer = _parse(body)
        fields: frozenset[str] = frozenset()
        if 300 <= status < 400:
            reason = "it redirects; set METABASE_URL to the address it redirects to"
        elif status == 401:
            reason = "not signed in"
            if "X-API-Key" in self._headers:
                reason = "METABASE_API_KEY was not accepted"
        elif status == 403:
            reason = "the user is not an administrator"
        else:
            reason, fields = _reason(answer, body)
        # Blank secrets before shortening: a cut one would no longer be recognised.
        return MetabaseError(
            self.redact(f"Metabase answered {method} {_route(path)} with {status}: {reason}", limit=500),
            status=status,
            fields=fields,
        )

    def redact(self, text: str, *, limit: int = 10_000) -> str:
        """`text` on one line of at most `limit` characters, every secret this client knows blanked."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            for form in {secret, json.dumps(secret)[1:-1], quote(secret, safe="")}:
                text = text.replace(form, "***")
        return excerpt(" ".join(text.split()), limit)


def _may_pass(error: BaseException) -> bool:
    """Whether the server is away or overloaded."""
    return isinstance(error, SourceUnavailableError) or (
        isinstance(error, MetabaseError) and error.status in RETRY_STATUSES
    )


def _route(path: str) -> str:
    return path.partition("?")[0]


def _parse(body: bytes) -> Json:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None


def _reason(answer: Json, body: bytes) -> tuple[str, frozenset[str]]:
    """What Metabase says is wrong, and the fields it names."""
    if isinstance(answer, str):
        return answer, frozenset()
    if not isinstance(answer, dict):
        return body.decode("utf-8", "replace") or "no reason given", frozenset()
    errors = answer.get("errors")
    parts = [str(answer[key]) for key in ("message", "error") if isinstance(answer.get(key), str)]
    fields: frozenset[str] = frozenset()
    if isinstance(errors, dict):
        fields = frozenset(errors)
        # Nested entries describe the rejected value and may quote it: name the field only.
        parts += [f"{key}: {value}" if isinstance(value, str) else key for key, value in sorted(errors.items())]
    return "; ".join(parts) or "no reason given", fields


def _connection_problem(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    if isinstance(reason, ConnectionRefusedError):
        return "connection refused"
    if isinstance(reason, TimeoutError):
        return "no answer in time"
    if isinstance(reason, (ConnectionResetError, http.client.RemoteDisconnected)):
        return "connection reset"
    return str(reason) or type(reason).__name__
