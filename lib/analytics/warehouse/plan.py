"""The statements of an incremental build, written once by dbt and run as they are until something changes.

dbt needs two seconds to find out that its models say what they said an hour ago, and an hour's work is a few tenths
of a second of SQL. So after a build dbt writes the statements of the next incremental run (var `prepare`, see
dbt/macros/materializations.sql) into `DATA_DIR/dbt/prepared_build.json`. They hold as long as the fingerprint of
project, prices, time zone and engine does; anything else is dbt's again. Only the instant `as_of` differs from run to
run: it stands in the statements as a literal and is replaced.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.common.files import partial_file

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class PreparedModel:
    """One model's statements."""

    name: str
    schema: str
    sql: str
    is_working_set: bool  # read by other models of the run only: gone when it ends, and never written to the file


@dataclass(frozen=True)
class PreparedBuild:
    """The models of an incremental build, each after those it reads."""

    fingerprint: str  # of all that decides the statements
    as_of: str  # the instant they were written with, ISO 8601
    models: list[PreparedModel]

    def save(self, path: Path) -> None:
        """Write to `path`, whole or not at all."""
        with partial_file(path) as temporary:
            temporary.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def run(self, connection: duckdb.DuckDBPyConnection, as_of: str, *, then: str) -> list[tuple[PreparedModel, float]]:
        """Run all statements, and `then`, in one transaction -> each model and the seconds it took.

        Raises:
            duckdb.Error: a statement failed; nothing has changed.
        """
        done = []
        connection.execute("begin")
        try:
            for model in self.models:
                started = time.perf_counter()
                connection.execute(model.sql.replace(f"'{self.as_of}'", f"'{as_of}'"))
                done.append((model, time.perf_counter() - started))
            for model in self.models:
                if model.is_working_set:
                    connection.execute(f"drop table {model.schema}.{model.name}")
            connection.execute(then)
            connection.execute("commit")
        except BaseException:
            with contextlib.suppress(Exception):
                connection.execute("rollback")
            raise
        return done


def read_prepared(path: Path, fingerprint: str) -> PreparedBuild | None:
    """The prepared build at `path` if it is one with this fingerprint."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["fingerprint"] != fingerprint:
            return None
        models = [PreparedModel(**model) for model in content["models"]]
        return PreparedBuild(fingerprint, content["as_of"], models)
    except (OSError, ValueError, KeyError, TypeError):
        return None
