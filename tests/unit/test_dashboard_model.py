"""The definition of the dashboards. Without these, a typing error in a YAML file would be seen by whoever opens the
dashboard, and SQL that the HTML page cannot compute would show other numbers there than in Metabase.
"""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest
import yaml
from analytics.cards import model, query, snippets
from analytics.cards.check import check
from analytics.errors import ConfigError
from analytics.metabase.visualization import visualization_settings


def test_every_dashboard_fits_the_described_marts() -> None:
    result = check()
    assert result.problems == ()
    assert (result.dashboards, result.cards > 30) == (5, True)


def test_every_dashboard_begins_with_the_state_of_its_data() -> None:
    for board in model.load_dashboards():
        assert board.cards[0].key == "data_status", board.key


def test_every_filter_of_a_dashboard_is_heard() -> None:
    for board in model.load_dashboards():
        heard = set().union(*(card.tags for card in board.cards))
        assert set(board.filters) <= heard, board.key


def test_token_kinds_are_never_summed_into_one_number() -> None:
    for board in model.load_dashboards():
        for card in board.cards:
            flat = " ".join(card.sql.split())
            assert "output_tokens +" not in flat, card.source
            assert "+ output_tokens" not in flat, card.source


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the definition to break."""
    return Path(shutil.copytree(model.default_folder(), tmp_path / "dashboards"))


def change(folder: Path, name: str, key: str, **values: object) -> None:
    path = folder / name
    document = yaml.safe_load(path.read_text())
    next(card for card in document["cards"] if card.get("key") == key).update(values)
    path.write_text(yaml.safe_dump(document, sort_keys=False))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"display": "gauge"}, "unknown display 'gauge'; one of smartscalar"),
        ({"colour": "red"}, "unknown colour; known: bars"),
        ({"place": [3, 20, 5, 3]}, "leaves the grid of 24 columns"),
        ({"place": [0, 0, 5, 3]}, "lies over"),
        ({"definition": "see the wiki"}, "is neither docs/how-we-count.md#anchor nor marts."),
        ({"columns": {"period": "Until | data"}}, "unknown format 'data'; one of text"),
        ({"title": ""}, "title is missing"),
    ],
)
def test_a_wrong_word_is_named_when_a_dashboard_is_loaded(
    folder: Path, values: dict[str, object], message: str
) -> None:
    change(folder, "cost.yaml", "spend", **values)
    with pytest.raises(ConfigError, match=r"cost\.yaml") as error:
        model.load_dashboards(folder)
    assert message in str(error.value)


def test_missing_sql_is_named_when_a_dashboard_is_loaded(folder: Path) -> None:
    (folder / "cost" / "spend.sql").unlink()
    with pytest.raises(ConfigError, match=r"its SQL is missing: .*cost/spend\.sql"):
        model.load_dashboards(folder)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cost_usd", "costs_usd", "without filters"),
        ("as cost_usd", "as cost", "without filters"),
    ],
)
def test_check_names_what_is_wrong_with_a_cards_sql(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / "cost" / "spend.sql"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    problems = check(folder=folder).problems
    assert any("cost/spend.sql" in problem and message in problem for problem in problems), problems


def test_check_names_a_definition_that_leads_nowhere(folder: Path) -> None:
    change(folder, "cost.yaml", "spend", definition="docs/how-we-count.md#costs")
    assert any("leads nowhere" in problem for problem in check(folder=folder).problems)


def test_check_names_a_format_that_does_not_fit_the_column(folder: Path) -> None:
    change(folder, "cost.yaml", "spend", columns={"period": "Until | date", "cost_usd": "Spend | datetime"})
    assert any("cannot be shown as datetime" in problem for problem in check(folder=folder).problems)


def test_filters_become_parameters_only_where_they_are_set() -> None:
    sql = "select 1 from t where true [[and d in (select date_key from dim_date where {{date}})]] [[and {{model}}]]"
    text, values = query.bound(sql)
    assert (text.split(), values) == (["select", "1", "from", "t", "where", "true"], {})
    text, values = query.bound(sql, query.Selection(date(2026, 1, 1), None, models=("it's; drop",)))
    assert "dim_date.date_key >= $first_day" in text
    assert "it's" not in text
    assert values == {"first_day": date(2026, 1, 1), "model": ["it's; drop"]}


def test_parameters_are_only_those_that_the_sql_has() -> None:
    chosen = query.Selection(date(2026, 1, 1), date(2026, 1, 2), ("/p",), ("m",))
    assert query.bound("select 1 [[where {{model}}]]", chosen)[1] == {"model": ["m"]}


def test_sessions_in_metabase_lead_to_their_pages_where_the_address_is_known() -> None:
    cards = {card.key: card for board in model.load_dashboards() for card in board.cards}
    assert {key for key, card in cards.items() if card.shows_sessions} == {
        "cost_reconciliation",
        "expensive_sessions",
        "expensive_prompts",
        "latest_sessions",
    }
    title = '["name","title"]'
    linked = visualization_settings(cards["latest_sessions"], "http://127.0.0.1:8889")
    assert linked["column_settings"][title]["link_url"] == "http://127.0.0.1:8889/analytics/sessions/{{session_id}}"
    assert {"name": "session_id", "enabled": False} in linked["table.columns"]
    assert "link_url" not in visualization_settings(cards["latest_sessions"])["column_settings"][title]
    assert "link_url" not in str(visualization_settings(cards["files_changed"], "http://127.0.0.1:8889"))


def test_metabase_settings_name_only_columns_of_the_card() -> None:
    for board in model.load_dashboards():
        for card in board.cards:
            names = {column.name for column in card.columns}
            settings = visualization_settings(card)
            used = {*settings.get("graph.dimensions", ()), *settings.get("graph.metrics", ())}
            assert used | set(settings.get("series_settings", ())) <= names, card.source
            assert set(settings["column_settings"]) == {f'["name","{name}"]' for name in names}


def test_a_snippet_stands_in_every_card_at_its_indentation(folder: Path) -> None:
    (folder / "snippets" / "half.sql").write_text("{{column}}\n/ 2\n")
    sql = "select\n    {{snippet: half cost_usd}} as half,\n    1 as one\n"
    assert snippets.expand(sql, folder, "x.sql") == "select\n    cost_usd\n    / 2 as half,\n    1 as one\n"


def test_a_macro_of_the_marts_stands_in_a_card_as_dbt_would_write_it(folder: Path) -> None:
    sql = snippets.expand("select\n    {{macro: tool_durations}}\nfrom fct_tool_calls", folder, "x.sql")
    assert sql.splitlines() == [
        "select",
        "    cast(round(quantile_cont(duration_ms, 0.5)) as bigint) as p50_duration_ms,",
        "    cast(round(quantile_cont(duration_ms, 0.95)) as bigint) as p95_duration_ms",
        "from fct_tool_calls",
    ]
    with pytest.raises(ConfigError, match=r"x\.sql: unknown macro 'tool_duration' of dbt/macros/counting.sql"):
        snippets.expand("{{macro: tool_duration}}", folder, "x.sql")


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("periods_", "unknown snippet 'periods_'; one of cache_hit_rate, compared_months, days, grain, period_start"),
        ("period_start", "snippet 'period_start' wants a column after its name"),
        ("grain day", "snippet 'grain' wants no column"),
    ],
)
def test_a_wrong_snippet_is_named_when_a_dashboard_is_loaded(folder: Path, said: str, message: str) -> None:
    path = folder / "cost" / "spend.sql"
    path.write_text(path.read_text().replace("{{snippet: periods}}", f"{{{{snippet: {said}}}}}"))
    with pytest.raises(ConfigError, match=message):
        model.load_dashboards(folder)


def test_a_measure_of_several_cards_is_written_once() -> None:
    """In the cards, as in the models, one place says how a cache hit rate is made and how days become periods."""
    for path in model.default_folder().glob("[!s]*/*.sql"):
        text = path.read_text()
        assert "nullif(context_tokens" not in text, path
        assert "grain.day_count >" not in text, path
        assert "history.first_day" not in text, path
