"""Signing in to Metabase, and its first administrator."""

from __future__ import annotations

from analytics.errors import ConfigError
from analytics.metabase.client import READY_TIMEOUT_SECONDS, MetabaseError
from analytics.metabase.job import Job

SITE_NAME = "Claude Code Analytics"
OLDEST_VERSION = 58  # below it the driver and the query forms differ


def sign_in(job: Job) -> bool:
    """Wait for the server; sign in, or create the first administrator on a fresh server.

    Returns:
        Whether somebody is signed in: not in a dry run on a server without users.

    Raises:
        ConfigError: missing or unusable METABASE_ settings.
        SourceUnavailableError: Metabase does not become ready.
        MetabaseError: it is too old, or refuses the administrator.
    """
    email, password = job.settings.metabase_admin_email, job.settings.metabase_admin_password
    key = job.settings.metabase_api_key
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
    properties = job.client.wait_until_ready(timeout=READY_TIMEOUT_SECONDS, progress=job.progress)
    _check_version(job, (properties.get("version") or {}).get("tag"))
    if properties["has-user-setup"]:
        if key:
            job.client.use_api_key(key)
        elif email and password:
            job.client.sign_in(email, password)
        return True
    if not (email and password):
        raise ConfigError(
            "METABASE_API_KEY is set, but this Metabase has no user yet: set METABASE_ADMIN_EMAIL and "
            "METABASE_ADMIN_PASSWORD, its first administrator is made from them"
        )
    token = properties.get("setup-token")
    if not token:
        raise MetabaseError(
            f"Metabase at {job.client.base_url} has no user yet but shows no setup token; "
            "finish its setup page in a browser with METABASE_ADMIN_EMAIL, then run this again"
        )
    job.did("create", "admin", email)
    if job.dry_run:
        return False
    job.client.set_up(token, email, password, site_name=SITE_NAME)
    # Setup turns usage reports on (metabase/setup_rest); transcripts are private: nothing phones home.
    job.client.put("/api/setting/anon-tracking-enabled", {"value": False})
    return True


def _check_version(job: Job, tag: object) -> None:
    parts = str(tag or "").lstrip("v").split(".")
    if len(parts) >= 2 and parts[1].isdigit():
        if int(parts[1]) < OLDEST_VERSION:
            raise MetabaseError(f"Metabase {tag} is too old: 0.{OLDEST_VERSION} or newer is needed, 0.63 is tested")
    else:
        job.progress(f"Metabase version {tag!r} is unknown here; 0.63 is tested")
