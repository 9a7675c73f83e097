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


def rules() -> dict[str, str]:
    """The rules of the counting page by their titles."""
    page = (ROOT / "docs" / "how-we-count.md").read_text()
    return dict(re.findall(r"^### (.+)\n((?:(?!^##).*\n?)*)", page, re.MULTILINE))


def known_tests() -> set[str]:
    """Names of dbt's unit tests and data tests, and of pytest's functions."""
    known = {path.stem for path in (ROOT / "dbt" / "tests").rglob("*.sql")}
    for path in (ROOT / "dbt" / "models").rglob("*.yml"):
        _, _, unit_tests = path.read_text().partition("\nunit_tests:\n")
        known |= set(re.findall(r"^  - name: (\w+)$", unit_tests, re.MULTILINE))
    for path in (ROOT / "tests").rglob("test_*.py"):
        known |= set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE))
    return known


@pytest.mark.parametrize("rule", sorted(rules()))
def test_a_rule_has_its_trap_a_two_line_example_and_tests_that_exist(rule: str) -> None:
    text = rules()[rule]
    assert "*Trap:*" in text
    [example] = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert len(example.splitlines()) == 2
    [tests] = re.findall(r"^\*Tests?:\*(.*(?:\n`.*)*)", text, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", tests))
    assert named
    assert named <= known_tests()


def test_files_the_counting_page_points_at_exist() -> None:
    page = (ROOT / "docs" / "how-we-count.md").read_text()
    for path in re.findall(r"`((?:dbt|tests)/[\w/.]+\.(?:sql|py))`", page):
        assert (ROOT / path).exists(), path
