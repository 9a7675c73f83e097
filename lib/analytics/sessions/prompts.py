"""How prompts begin: for lists of prompts that lead to their turns."""

from __future__ import annotations

from collections.abc import Iterable

from analytics.sessions import content
from analytics.sessions.model import HIDDEN
from analytics.sessions.reader import STANDING, Reader

LENGTH = 80
_ENTRY = "entry:"


def step_of(prompt_key: str) -> str:
    """The step of a timeline that a prompt's row of fct_messages stands for."""
    return prompt_key.removeprefix(_ENTRY)


def beginnings(reader: Reader, prompt_keys: Iterable[str]) -> dict[str, str]:
    """The first LENGTH characters of prompts, by their message_key of fct_messages; those no longer stored are missing.

    Raises:
        AnalyticsError: nothing is published yet, or the raw layer cannot be read.
    """
    keys = list(dict.fromkeys(prompt_keys))
    if not keys or not reader.shows_text:
        return dict.fromkeys(keys, HIDDEN)
    rows = reader.rows(
        f"""
        with mine as (
            select unnest($keys) as entry_key
        )

        select
            entries.entry_key,
            entries.document_id,
            documents.date
        from ({STANDING}) as entries
        inner join raw.conversations as documents on entries.document_id = documents._id
        """,
        {"keys": [step_of(key) for key in keys]},
    )
    texts = reader.texts(rows)
    return {
        f"{_ENTRY}{row['entry_key']}": content.first_line(_said(texts[row["document_id"]]), LENGTH)
        for row in rows
        if row["document_id"] in texts
    }


def _said(text: str) -> str:
    blocks = content.blocks(content.decoded(text))
    return content.spoken("\n".join(block.text for block in blocks if block.kind != "tool_result"))
