"""What exploration notebooks have: SQL cells on the published marts, tables to look through, what a column means, and
things to choose from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from analytics.common.clock import utc_now
from analytics.common.text import clean
from analytics.errors import AnalyticsError, ConfigError
from analytics.runs.surroundings import prepare_notebook
from analytics.settings import Settings, load_settings
from analytics.warehouse import marts
from analytics.warehouse.dictionary import column_descriptions, mart_description

if TYPE_CHECKING:
    import duckdb
    import ipywidgets
    import pandas
    from IPython.core.interactiveshell import InteractiveShell

# What of a large result is put into the notebook; the table says that there is more.
_TABLE_ROWS = 1_000
_TABLE_BYTES = "2MB"


def connect() -> duckdb.DuckDBPyConnection:
    """Get an exploration notebook ready: open the published marts read-only, make `%sql` and `%%sql` ask them, and
    print what they hold.

    `$name` in a query is the notebook's variable of that name.

    Returns:
        The native connection, for `connection.sql(...)`.

    Raises:
        AnalyticsError: nothing is published yet.
    """
    from IPython.core.getipython import get_ipython

    prepare_notebook()
    settings = load_settings()
    connection = _open(settings)
    shell = get_ipython()
    if shell is not None:
        _prepare_magics(shell, connection, settings)
        _prepare_tables(shell)
    sessions, projects, first, last = connection.execute(
        "select (select count(*) from dim_sessions), (select count(*) from dim_projects), min(date_key), max(date_key) "
        "from dim_date"
    ).fetchone()  # type: ignore[misc]
    if settings.is_demo:
        print("demo data: a generated history, nothing of yours")
    if first is None:
        print(f"{settings.published_path} holds no conversations yet: run the pipeline, or look at `make demo`")
    else:
        print(f"{sessions:,} sessions in {projects:,} projects, {first} to {last} ({settings.analytics_tz})")
    return connection


def tables() -> pandas.DataFrame:
    """The published tables: name, rows, columns, what each holds."""
    prepare_notebook()
    with _open(load_settings()) as connection:
        frame = connection.execute(
            "select table_name as name, estimated_size as rows, column_count as columns from duckdb_tables() "
            "where schema_name = $schema order by table_name",
            {"schema": marts.SCHEMA},
        ).df()
    frame["description"] = frame["name"].map(mart_description)
    return frame


def columns(table: str) -> pandas.DataFrame:
    """The columns of a published table: name, type, what each means.

    Raises:
        ConfigError: there is no such table; a similar name is suggested.
    """
    prepare_notebook()
    name = table.strip().lower().removeprefix(f"{marts.SCHEMA}.")
    with _open(load_settings()) as connection:
        found = connection.execute(
            "select table_name, column_name as name, data_type as type from duckdb_columns() "
            "where schema_name = $schema order by table_name, column_index",
            {"schema": marts.SCHEMA},
        ).df()
    names = sorted(set(found["table_name"]))
    if name not in names:
        similar = get_close_matches(name, names, n=1) or names
        raise ConfigError(f"no table {table!r}: did you mean {', '.join(similar)}?")
    frame = found[found["table_name"] == name].drop(columns="table_name").reset_index(drop=True)
    frame["description"] = frame["name"].map(column_descriptions(name)).fillna("")
    return frame


def pick_project() -> ipywidgets.Dropdown:
    """A list of the projects, the most recently active first. Its value is a project_id, None for all projects."""
    import ipywidgets

    with _open(load_settings()) as connection:
        projects = connection.execute(
            "select project_id, project_label, project_path from dim_projects "
            "order by last_active_at desc nulls last, project_id"
        ).fetchall()
    options: list[tuple[str, str | None]] = [("all projects", None)]
    options += [(f"{label}  ({path or project_id})", project_id) for project_id, label, path in projects]
    return ipywidgets.Dropdown(
        options=[(clean(label), value) for label, value in options],
        index=0,  # None, the value of "all projects", would mean that nothing is chosen
        description="project",
        layout=ipywidgets.Layout(width="40em"),
    )


def pick_days() -> tuple[ipywidgets.DatePicker, ipywidgets.DatePicker]:
    """The first and the last day of a period, to begin with those of the whole history."""
    with _open(load_settings()) as connection:
        first, last = connection.execute("select min(date_key), max(date_key) from dim_date").fetchone()  # type: ignore[misc]
    return _day("since", first), _day("until", last)


def pick_day(day: date | None = None) -> ipywidgets.DatePicker:
    """A day, to begin with this one."""
    return _day("day", day)


def pick_session(day: Any) -> ipywidgets.Dropdown:
    """The sessions of a day, or of a `pick_day`, the dearest first. Its value is a session_id, None without one."""
    import ipywidgets

    with _open(load_settings()) as connection:
        sessions = connection.execute(
            """
            select
                fct_messages.session_id,
                coalesce(any_value(dim_sessions.title), fct_messages.session_id) as title,
                sum(fct_messages.cost_usd) as cost_usd
            from fct_messages
            left join dim_sessions
                on fct_messages.session_id = dim_sessions.session_id
            where fct_messages.created_date_key = $day
            group by fct_messages.session_id
            order by cost_usd desc nulls last, fct_messages.session_id
            """,
            {"day": _value(day)},
        ).fetchall()
    options = [
        (clean(f"{number}.  {title[:70]}" + (f"  (${cost:,.2f})" if cost is not None else "")), session_id)
        for number, (session_id, title, cost) in enumerate(sessions, 1)
    ]
    return ipywidgets.Dropdown(
        options=options or [("no session on that day", None)],
        description="session",
        layout=ipywidgets.Layout(width="40em"),
    )


def _day(name: str, day: date | None) -> ipywidgets.DatePicker:
    import ipywidgets

    chosen = day or utc_now().date()
    picker = ipywidgets.DatePicker(description=name, value=chosen)

    def emptied(change: Any) -> None:
        if change["new"] is None:  # no day would select nothing
            picker.value = chosen

    picker.observe(emptied, "value")
    return picker


def _open(settings: Settings) -> duckdb.DuckDBPyConnection:
    # one zone for all connections of a kernel: DuckDB keeps one setting per file
    return marts.connect(settings, timezone=settings.analytics_tz)


def _prepare_magics(shell: InteractiveShell, connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    from IPython.utils.capture import capture_output

    with capture_output():  # it says which optional package it would read a configuration with
        shell.run_line_magic("load_ext", "sql")
    for option in ("feedback = 0", "displaycon = False", "displaylimit = 50"):
        shell.run_line_magic("config", f"SqlMagic.{option}")
    shell.push({"_marts": _Marts(connection, settings, shell.user_ns)}, interactive=False)
    shell.run_line_magic("sql", "_marts --alias marts")


def _prepare_tables(shell: InteractiveShell) -> None:
    """Show rows as tables that sort, search and page, and texts in them as texts.

    JupySQL's own table turns what it escaped back into HTML, which would run in JupyterLab's origin.
    """
    import itables
    import pandas

    if shell.display_formatter is None:
        return
    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type(pandas.DataFrame, rows_html)
    formatter.for_type_by_name("sql.run.resultset", "ResultSet", lambda result: rows_html(result.DataFrame()))
    itables.init_notebook_mode(all_interactive=False, connected=False)


def rows_html(frame: pandas.DataFrame) -> str:
    """Rows as a table that needs no network: texts to the left and as texts, unknown values empty.

    It is a static table where scripts may not run.
    """
    import itables
    import pandas
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    named_rows = frame.index.name is not None or not isinstance(frame.index, pandas.RangeIndex)
    shown = frame.head(_TABLE_ROWS)
    shown = (shown.reset_index(allow_duplicates=True) if named_rows else shown).convert_dtypes()
    texts = []
    for position in range(shown.shape[1]):
        column = shown.iloc[:, position]
        if not is_numeric_dtype(column) or is_bool_dtype(column):
            texts.append(position)
            column = column.astype(object).map(lambda value: clean(str(value)), na_action="ignore")
        if column.hasnans:
            column = column.astype(object).where(column.notna(), "")
        shown.isetitem(position, column)
    shown.columns = [clean(str(name)) for name in shown.columns]
    cut = f"the first {_TABLE_ROWS:,} of {len(frame):,} rows" if len(frame) > _TABLE_ROWS else None
    return itables.to_html_datatable(
        shown,
        cut,
        connected=False,
        allow_html=False,
        showIndex=False,
        text_in_header_can_be_selected=False,  # a click on it sorts
        maxBytes=_TABLE_BYTES,
        lengthMenu=[15, 50, 100, 500],
        columnDefs=[{"targets": texts, "className": "dt-left"}] if texts else [],
        scrollX=True,
        display_logo_when_loading=False,
        style="table-layout:auto;width:auto;margin:0;caption-side:bottom",
        classes="display compact",
    )


class _Marts:
    """The connection for JupySQL, which asks every query on a cursor of its own: those forget the search path."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, settings: Settings, variables: Mapping[str, Any]) -> None:
        self._connection = connection
        self._settings = settings
        self._variables = variables

    def cursor(self) -> _Cursor:
        """A new cursor to which mart names need no schema."""
        cursor = self._connection.cursor()
        marts.prepare(cursor, self._settings)
        return _Cursor(cursor, self._variables)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Cursor:
    """A cursor that binds `$name` in a query to the notebook's variable of that name: as a value, whatever it holds."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, variables: Mapping[str, Any]) -> None:
        self._cursor = cursor
        self._variables = variables
        self._bound: dict[str, dict[str, Any]] = {}

    def execute(self, sql: str, parameters: Any = None) -> _Cursor:
        """Run a query; asked again, as JupySQL does for a data frame, it gets the values it got first."""
        if parameters is None and sql not in self._bound:
            self._bound[sql] = self._values(sql)
        self._cursor.execute(sql, parameters or self._bound.get(sql) or None)
        return self

    def _values(self, sql: str) -> dict[str, Any]:
        names = {name for statement in self._cursor.extract_statements(sql) for name in statement.named_parameters}
        for name in sorted(names):
            if name not in self._variables or not re.fullmatch(r"[^\W\d]\w*", name):
                raise AnalyticsError(f"${name}: there is no variable {name} in this notebook")
        return {name: _value(self._variables[name]) for name in names}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def _value(value: Any) -> Any:
    """What a query gets for a variable: the chosen value of a widget, Python's number for NumPy's."""
    import numpy
    from ipywidgets import ValueWidget

    if isinstance(value, ValueWidget):
        value = value.value
    return value.item() if isinstance(value, numpy.generic) else value
