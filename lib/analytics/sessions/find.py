"""Finding a text within one session."""

from __future__ import annotations

from dataclasses import dataclass

from analytics.sessions import pattern
from analytics.sessions.model import Step, Timeline

LISTED = 50
AROUND = 60


@dataclass(frozen=True)
class StepHit:
    """A step that holds the text, and what stands around it."""

    step: Step
    before: str
    match: str
    after: str


def find(timeline: Timeline, words: str) -> list[StepHit]:
    """The first LISTED steps that hold `words`, sub-agents' included."""
    if not words.strip() or not timeline.shows_text:
        return []
    sought = pattern.for_text(words)
    found = []
    for step in timeline.every_step():
        for text in texts(step):
            if match := sought.search(text):
                start, end = match.span()
                before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
                found.append(
                    StepHit(step, " ".join(before.split()) + " ", match.group(), " " + " ".join(after.split()))
                )
                break
        if len(found) == LISTED:
            break
    return found


def texts(step: Step) -> list[str]:
    """Everything that a step shows."""
    call = step.call
    return [step.text, *((call.summary, call.arguments, call.result) if call else ())]
