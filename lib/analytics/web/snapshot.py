"""The dashboards as one file to send or print: a picture of what a choice shows now, with no script and no request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analytics.common import page
from analytics.common.files import partial_file
from analytics.errors import ConfigError
from analytics.settings import Settings
from analytics.web import pictures, views
from analytics.web.choice import BadAddress, parse
from analytics.web.pages import Pages, card_slots
from analytics.web.published import require

FILE = "dashboards/index.html"
STYLE = Path(__file__).parent / "static" / "page.css"


def write(
    settings: Settings, arguments: Mapping[str, str], *, keys: Iterable[str] = (), target: Path | None = None
) -> Path:
    """Write the dashboards for a choice; an older file is replaced whole.

    Args:
        arguments: the choice, as in a page's address: from, to, range, project, model, machine, person.
        keys: dashboards to show; default: all.
        target: the file; default: DATA_DIR/dashboards/index.html.

    Returns:
        The file, mode 0600.

    Raises:
        AnalyticsError: nothing is published.
        ConfigError: a filter or dashboard that does not exist.
    """
    pages = Pages(settings, "/analytics/")
    target = target or settings.data_dir / FILE
    try:
        text = _document(pages, arguments, tuple(keys))
    except BadAddress as error:
        raise ConfigError(str(error)) from None
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with partial_file(target) as path:
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
    return target


def _document(pages: Pages, arguments: Mapping[str, str], keys: tuple[str, ...]) -> str:
    facts = require(pages.published)
    choice = parse({"range": "all", **arguments}, facts)
    boards = [pages.board(key) for key in keys] or list(pages.boards)
    templates = page.environment("analytics.web")
    body = templates.get_template("_card_body.html")
    shown: list[dict[str, Any]] = []
    for board in boards:
        links = pages.links(facts, choice, "")
        bodies = {}
        for card in board.cards:
            view = views.view(pages.published, facts, card, choice, links, timezone=pages.settings.analytics_tz)
            for row in view.rows:
                row[:] = [cell.unlinked() for cell in row]
            picture = pictures.svg(view.chart, card.key, card.place) if view.kind == "chart" and view.chart else ""
            bodies[card.key] = body.render(view=view, still=True, picture=picture)
        shown.append({"board": board, "bands": card_slots(board, choice, facts), "bodies": bodies})
    style = STYLE.read_text(encoding="utf-8")
    policy = page.policy(styles=(style,), images="data:", more="style-src-attr 'unsafe-inline'")
    return templates.get_template("snapshot.html").render(
        **pages.frame("", "Dashboards", facts),
        policy=page.meta(policy),
        style=style,
        boards=shown,
        said=pages.said(choice, facts),
        chosen=choice.words,
        still=True,
        address="",
    )
