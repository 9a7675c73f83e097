"""Finding a text within one session."""

from __future__ import annotations

from analytics.sessions import pattern
from analytics.sessions.model import Step, Timeline
from analytics.sessions.search import Hit, hit_in

LISTED = 50


def find(timeline: Timeline, words: str) -> list[tuple[Step, Hit]]:
    """The first LISTED steps that hold `words`, sub-agents' included, and what stands around them."""
    found: list[tuple[Step, Hit]] = []
    if not words.strip() or not timeline.shows_text:
        return found
    sought = pattern.for_text(words)
    for step in timeline.every_step():
        call = step.call
        texts = [step.text, *((call.summary, call.arguments, call.result) if call else ())]
        hit = next((hit_in(step.label, text, match) for text in texts if (match := sought.search(text))), None)
        if hit is not None:
            found.append((step, hit))
        if len(found) == LISTED:
            break
    return found
