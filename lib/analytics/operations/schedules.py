"""`schedules.yaml`: the deployments, and when each runs next."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from analytics.errors import ConfigError
from analytics.settings import PROJECT_ROOT

SCHEDULES_PATH = PROJECT_ROOT / "schedules.yaml"
PARAMETERS = ("full_backfill", "full_refresh")


@dataclass(frozen=True)
class Deployment:
    """One entry of schedules.yaml."""

    name: str
    description: str = ""
    schedule: str | None = None  # five cron fields; None: by hand
    parameters: dict[str, bool] = field(default_factory=dict)
    maintenance: bool = False
    catch_up: bool = False  # a time that passed while nothing could run is made up for

    def next_time(self, after: datetime) -> datetime | None:
        """The first time of the schedule after `after`, in its time zone; None when it runs by hand."""
        if self.schedule is None:
            return None
        from croniter import croniter

        return croniter(self.schedule, after).get_next(datetime)

    def last_time(self, before: datetime) -> datetime | None:
        """The last time of the schedule before `before`, in its time zone; None when it runs by hand."""
        if self.schedule is None:
            return None
        from croniter import croniter

        return croniter(self.schedule, before).get_prev(datetime)


@dataclass(frozen=True)
class RetryPolicy:
    """How often a deployment is tried, and after which pauses; each pause is twice the one before."""

    attempts: int = 6
    first_pause_seconds: float = 30
    longest_pause_seconds: float = 600


@dataclass(frozen=True)
class Schedules:
    """schedules.yaml."""

    deployments: tuple[Deployment, ...]
    retry: RetryPolicy

    @property
    def scheduled(self) -> tuple[Deployment, ...]:
        """Those that run by themselves."""
        return tuple(item for item in self.deployments if item.schedule)

    def deployment(self, name: str) -> Deployment:
        """The deployment of that name.

        Raises:
            ConfigError: there is none.
        """
        for item in self.deployments:
            if item.name == name:
                return item
        names = ", ".join(item.name for item in self.deployments)
        raise ConfigError(f"deployment {name!r} is not in schedules.yaml; there are: {names}")


def load_schedules(path: Path = SCHEDULES_PATH) -> Schedules:
    """Read and check schedules.yaml.

    Raises:
        ConfigError: one line naming the file, the entry, the value and what is allowed.
    """
    import yaml

    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        raise ConfigError(f"{path} is no YAML{f' (line {where.line + 1})' if where else ''}") from None
    items = document.get("deployments") if isinstance(document, dict) else None
    if not isinstance(items, list) or not items:
        raise ConfigError(f"{path}: `deployments` must be a list with at least one entry")
    deployments = tuple(_deployment(path, item) for item in items)
    names = [item.name for item in deployments]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{path}: deployment {name!r} stands there twice; each name once")
    return Schedules(deployments, _retry(path, document.get("retry") or {}))


def _deployment(path: Path, item: Any) -> Deployment:
    from croniter import croniter

    from analytics.runs.history import _DEPLOYMENT_NAME

    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not _DEPLOYMENT_NAME.fullmatch(name):
        raise ConfigError(f"{path}: name {name!r}: use letters, digits, dots, dashes and underscores, at most 61")
    if unknown := set(item) - {"name", "description", "schedule", "parameters", "maintenance", "catch_up"}:
        raise ConfigError(f"{path}: {name}: unknown key {sorted(unknown)[0]!r}")
    schedule = item.get("schedule")
    if schedule is not None and not (
        isinstance(schedule, str) and len(schedule.split()) == 5 and croniter.is_valid(schedule)
    ):
        raise ConfigError(f"{path}: {name}: schedule {schedule!r}: five cron fields such as '0 2 * * *'")
    parameters = item.get("parameters") or {}
    for key, value in parameters.items():
        if key not in PARAMETERS or not isinstance(value, bool):
            raise ConfigError(f"{path}: {name}: parameter {key}={value!r}: only {', '.join(PARAMETERS)}, true or false")
    for key in ("maintenance", "catch_up"):
        if not isinstance(value := item.get(key, False), bool):
            raise ConfigError(f"{path}: {name}: {key}={value!r}: true or false")
    if item.get("catch_up") and schedule is None:
        raise ConfigError(f"{path}: {name}: catch_up needs a schedule")
    return Deployment(
        name=name,
        description=str(item.get("description") or ""),
        schedule=" ".join(schedule.split()) if schedule else None,
        parameters=parameters,
        maintenance=item.get("maintenance", False),
        catch_up=item.get("catch_up", False),
    )


def _retry(path: Path, values: dict[str, Any]) -> RetryPolicy:
    known = RetryPolicy.__dataclass_fields__
    for key, value in values.items():
        if key not in known or not isinstance(value, int) or value < 1:
            raise ConfigError(f"{path}: retry: {key}={value!r}: only {', '.join(known)}, whole numbers from 1")
    return RetryPolicy(**values)
