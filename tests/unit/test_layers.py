"""The layers: sources -> staging -> intermediate -> marts.

Without these a mart that reads staging would count copies and partial usage, and nobody would see it.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODELS = {path.stem: path for path in (ROOT / "dbt" / "models").rglob("*.sql")}
SEEDS = {path.stem for path in (ROOT / "dbt" / "seeds").glob("*.csv")}
LAYER = {name: path.parent.name for name, path in MODELS.items()}

# What a layer may read. Silver reads silver, and bronze; gold reads gold, silver and seeds.
MAY_READ = {
    "staging": {"staging"},
    "intermediate": {"staging", "intermediate", "seeds"},
    "marts": {"intermediate", "marts", "seeds"},
}


def references(sql: str) -> set[str]:
    return set(re.findall(r"ref\('([a-z_0-9]+)'\)", sql))


def test_models_exist_in_every_layer() -> None:
    assert set(LAYER.values()) == set(MAY_READ)


@pytest.mark.parametrize("name", sorted(MODELS))
def test_model_reads_only_the_layers_below(name: str) -> None:
    layers = {
        LAYER.get(reference, "seeds" if reference in SEEDS else "?")
        for reference in references(MODELS[name].read_text())
    }
    assert layers <= MAY_READ[LAYER[name]]


@pytest.mark.parametrize("name", sorted(name for name in MODELS if LAYER[name] != "staging"))
def test_only_staging_reads_sources(name: str) -> None:
    assert "source(" not in MODELS[name].read_text()


def test_the_counting_page_names_tests_that_exist() -> None:
    known = {path.stem for path in (ROOT / "dbt" / "tests").rglob("*.sql")}
    for path in (ROOT / "dbt" / "models").rglob("*.yml"):
        known |= set(re.findall(r"^  - name: (\w+)$", path.read_text(), re.MULTILINE))
    page = (ROOT / "docs" / "how-we-count.md").read_text()
    named = set()
    for line in re.findall(r"^\*Tests?:\*(.*(?:\n`.*)*)", page, re.MULTILINE):
        named |= set(re.findall(r"`(\w+)`", line))
    assert named
    assert named - {"task_category", "fct_tool_calls"} <= known


def test_files_the_counting_page_points_at_exist() -> None:
    page = (ROOT / "docs" / "how-we-count.md").read_text()
    for path in re.findall(r"`((?:dbt|tests)/[\w/.]+\.(?:sql|py))`", page):
        assert (ROOT / path).exists(), path
