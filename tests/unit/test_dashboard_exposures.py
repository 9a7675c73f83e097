"""dbt's exposures say which marts each dashboard reads. Without this, lineage would end in front of a card that was
added, and a mart could be changed without anyone seeing which dashboard shows it.
"""

from __future__ import annotations

import re

import pytest
import yaml
from analytics.cards.model import Dashboard, load_dashboards
from analytics.settings import PROJECT_ROOT
from analytics.warehouse.dictionary import mart_models

EXPOSURES = yaml.safe_load((PROJECT_ROOT / "dbt/models/exposures.yml").read_text())["exposures"]


@pytest.mark.parametrize("board", load_dashboards(), ids=lambda board: board.key)
def test_exposure_lists_exactly_the_marts_that_the_cards_read(board: Dashboard) -> None:
    exposures = [item for item in EXPOSURES if item["type"] == "dashboard" and item["label"] == board.title]
    assert len(exposures) == 1, f"dbt/models/exposures.yml: one dashboard with the label {board.title!r} is expected"
    listed = {re.fullmatch(r"ref\('(\w+)'\)", item)[1] for item in exposures[0]["depends_on"]}
    read = {name for card in board.cards for name in re.findall(r"(?i)\b(?:from|join)\s+(?:marts\.)?(\w+)", card.sql)}
    assert listed == read & set(mart_models())


def test_no_exposure_is_left_of_a_dashboard_that_is_gone() -> None:
    labels = {item["label"] for item in EXPOSURES if item["type"] == "dashboard"}
    assert labels == {board.title for board in load_dashboards()}
