"""Tell someone when a deployment begins to fail and when it works again: `ALERT_WEBHOOK_URL`,
`ALERT_URLS`, `ALERT_COMMAND`.

One message on the first failure, one a day while it goes on, one on recovery. A message holds the deployment, the
stage, the kind of error and where to look: never text of transcripts, paths of projects or secrets, so not the
error's own message either.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from typing import Any

from analytics.common.clock import utc_now
from analytics.common.files import partial_file
from analytics.errors import AnalyticsError
from analytics.runs.history import Run
from analytics.settings import Settings

logger = logging.getLogger(__name__)

TIMEOUT_SECONDS = 10
REMIND_AFTER = timedelta(days=1)


def report_failure(settings: Settings, deployment: str, error: BaseException, run: Run | None) -> bool:
    """Note that `deployment` failed; returns whether a message went out."""
    state = _read(settings)
    now = utc_now()
    known = state.get(deployment)
    since = known["failing_since"] if known else now.isoformat(timespec="seconds")
    if known and now - datetime.fromisoformat(known["alerted_at"]) < REMIND_AFTER:
        return False
    stage = run.error.get("stage") if run and run.error else None
    where = f" in {stage}" if stage else ""
    look = f"claude-analytics status {run.run_id}" if run else "claude-analytics status"
    still = " still" if known else ""
    kind = type(error).__name__
    sent = _send(
        settings,
        f"{deployment}{still} fails{where} on {socket.gethostname()}: {kind} (since {since}). "
        f"The published data is untouched. See: {look}",
        _facts("failure", deployment, since, run, error_type=kind, stage=stage),
    )
    state[deployment] = {"failing_since": since, "alerted_at": now.isoformat(timespec="seconds")}
    _write(settings, state)
    return sent


def report_success(settings: Settings, deployment: str, run: Run | None = None) -> bool:
    """Note that `deployment` worked; returns whether a message (it had failed before) went out."""
    state = _read(settings)
    known = state.pop(deployment, None)
    if known is None:
        return False
    _write(settings, state)
    return _send(
        settings,
        f"{deployment} works again on {socket.gethostname()} (had failed since {known['failing_since']}).",
        _facts("recovery", deployment, known["failing_since"], run, error_type=None, stage=None),
    )


def _facts(event: str, deployment: str, since: str, run: Run | None, **more: str | None) -> dict[str, str | None]:
    """What ALERT_COMMAND is told in its environment."""
    run_id = run.run_id if run else None
    return {"event": event, "deployment": deployment, "failing_since": since, "run_id": run_id, **more}


def failing(settings: Settings) -> dict[str, str]:
    """Deployments that fail now -> since when (ISO 8601, UTC)."""
    return {name: item["failing_since"] for name, item in _read(settings).items()}


def _send(settings: Settings, text: str, facts: dict[str, Any]) -> bool:
    """Send by every configured way; a way that fails is logged and never fails the run."""
    sent = False
    if settings.alert_webhook_url:
        sent |= _post(settings.alert_webhook_url.get_secret_value(), text)
    if settings.alert_urls:
        sent |= _notify(settings.alert_urls.get_secret_value().split(), text)
    if settings.alert_command:
        sent |= _run(settings.alert_command, text, facts)
    return sent


def _post(url: str, text: str) -> bool:
    """POST `{"text": …}`: what Slack, Mattermost, Rocket.Chat and Google Chat take.

    https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    """
    if not url.startswith(("https://", "http://")):
        logger.warning("ALERT_WEBHOOK_URL must start with https:// or http://; no alert was sent")
        return False
    request = urllib.request.Request(
        url, json.dumps({"text": text}).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=TIMEOUT_SECONDS):
            return True
    except (urllib.error.URLError, OSError, ValueError) as error:
        # The address is a secret of its own: only the kind of error is named.
        logger.warning("the alert could not be sent to ALERT_WEBHOOK_URL: %s", _kind(error))
        return False


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The message goes where it was told to, or nowhere: a redirect would carry it, and the address, elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _notify(urls: list[str], text: str) -> bool:
    """Send to services that Apprise knows, such as `mailto://…`, `tgram://…`, `ntfy://…`.

    https://github.com/caronc/apprise/wiki
    """
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # it names addresses
    asset = apprise.AppriseAsset(app_id="claude-analytics", app_desc="", app_url="", http_redirects=False)
    sent = False
    for number, url in enumerate(urls, start=1):
        service = apprise.Apprise(asset=asset)
        if not service.add(url):
            logger.warning("ALERT_URLS: Apprise does not know address %d; no alert was sent there", number)
        elif not service.notify(body=text, body_format=apprise.NotifyFormat.TEXT):
            logger.warning("ALERT_URLS: the alert could not be sent to address %d (%s)", number, url.partition(":")[0])
        else:
            sent = True
    return sent


def _run(command: str, text: str, facts: dict[str, Any]) -> bool:
    """Run ALERT_COMMAND in a shell with the message on standard input and the facts as ALERT_… variables."""
    variables = {f"ALERT_{name.upper()}": "" if value is None else str(value) for name, value in facts.items()}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "USER", "TZ") if name in os.environ}
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            input=text + "\n",
            text=True,
            env={**kept, **variables, "ALERT_TEXT": text},
            timeout=6 * TIMEOUT_SECONDS,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        logger.warning("ALERT_COMMAND failed: %s", _kind(error))
        return False
    if done.returncode:
        logger.warning("ALERT_COMMAND ended with exit code %d", done.returncode)
    return done.returncode == 0


def _kind(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code}"
    return type(getattr(error, "reason", None) or error).__name__


def _read(settings: Settings) -> dict[str, dict[str, str]]:
    try:
        state = json.loads((settings.data_dir / "alerts.json").read_text())
        return {
            name: item for name, item in state.items() if datetime.fromisoformat(item["alerted_at"]).tzinfo is not None
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(settings: Settings, state: dict[str, dict[str, str]]) -> None:
    path = settings.data_dir / "alerts.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(path) as temporary:
            temporary.write_text(json.dumps(state, indent=1) + "\n")
    except OSError as error:
        raise AnalyticsError(f"{path} cannot be written: {error.strerror}") from None
