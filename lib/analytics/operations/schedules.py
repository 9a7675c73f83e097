"""`schedules.yaml`: the deployments, and when each runs next."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, StrictBool, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic.dataclasses import dataclass

from analytics.errors import ConfigError
from analytics.runs.history import DEPLOYMENT_NAME
from analytics.settings import PROJECT_ROOT

SCHEDULES_PATH = PROJECT_ROOT / "schedules.yaml"
_ONLY_THESE = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_ONLY_THESE)
class Deployment:
    """One entry of schedules.yaml."""

    name: Annotated[str, Field(pattern=f"^{DEPLOYMENT_NAME.pattern}$")]
    description: str = ""
    schedule: str | None = None  # five cron fields; None: by hand
    parameters: dict[Literal["full_backfill", "full_refresh"], StrictBool] = Field(default_factory=dict)
    maintenance: StrictBool = False
    catch_up: StrictBool = False  # a time that passed while nothing could run is made up for

    @field_validator("schedule")
    @classmethod
    def _five_fields(cls, value: str | None) -> str | None:
        from croniter import croniter

        if value is not None and not (len(value.split()) == 5 and croniter.is_valid(value)):
            raise ValueError("five cron fields such as '0 2 * * *'")
        return None if value is None else " ".join(value.split())

    @model_validator(mode="after")
    def _has_times(self) -> Self:
        if self.catch_up and self.schedule is None:
            raise ValueError("catch_up needs a schedule")
        return self

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


@dataclass(frozen=True, config=_ONLY_THESE)
class RetryPolicy:
    """How often a deployment is tried, and after which pauses; each pause is twice the one before."""

    attempts: Annotated[int, Field(ge=1)] = 6
    first_pause_seconds: Annotated[float, Field(ge=1)] = 30
    longest_pause_seconds: Annotated[float, Field(ge=1)] = 600


@dataclass(frozen=True, config=_ONLY_THESE)
class Schedules:
    """schedules.yaml."""

    deployments: Annotated[tuple[Deployment, ...], Field(min_length=1)]
    retry: RetryPolicy = RetryPolicy()

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        name, times = Counter(item.name for item in self.deployments).most_common(1)[0]
        if times > 1:
            raise ValueError(f"deployment {name!r} stands there twice; each name once")
        return self

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
    try:
        return TypeAdapter(Schedules).validate_python(document)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        said = f"{where}={wrong['input']!r}: " if where else ""
        raise ConfigError(f"{path}: {said}{wrong['msg'].removeprefix('Value error, ')}") from None
