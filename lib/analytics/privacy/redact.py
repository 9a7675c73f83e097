"""Secrets out of the text before it is stored: `sk-ant-…` becomes `[REDACTED:anthropic_key]`.

Only what is a secret with high confidence: token formats of vendors (`formats`), keys that are more than a line
(`keys`), and values that a name, a header, an address or a command gives away (`rules`), where the value looks like a
secret and not like code, a placeholder or a path (`values`).

The texts are JSON and stay valid JSON: what is replaced never contains a backslash or a double quote (a key
block, which does, only whole escapes inside one string). One vectorised pass finds the few rows worth
looking at; only those are seen by Python. Redacting twice changes nothing.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from analytics.privacy.encoded import ESCAPE, unescaped
from analytics.privacy.rules import RULES
from analytics.privacy.values import MARK, Counts

__all__ = ["MARK", "redact_batch", "redact_bytes", "redact_text"]

# What makes a row worth looking at: any rule, or characters that need no escape and have one.
_ANY_TRIGGER = "|".join([ESCAPE, *(rule.trigger for rule in RULES)])


def redact_batch(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, dict[str, int]]:
    """`texts` (JSON, one document each; nulls stay) with every secret replaced, and how many of each kind.

    Args:
        texts: string or large_string.

    Returns: an array of the same type and length (of chunks, when chunks were given); kind -> number of
    replacements, kinds without any left out.
    """
    counts: Counts = {}
    if not isinstance(texts, pa.ChunkedArray):
        return _redact_array(texts, counts), counts
    # Copying the chunks together costs less than building the automaton for each of them.
    whole = texts.combine_chunks()
    parts = whole.chunks if isinstance(whole, pa.ChunkedArray) else [whole]
    clean = [_redact_array(part, counts) for part in parts]
    return (pa.chunked_array(clean, texts.type) if counts else texts), counts


def redact_text(text: str) -> str:
    """`text` with every secret replaced."""
    return redact_batch(pa.array([text]))[0][0].as_py()


def redact_bytes(original: bytes) -> bytes:
    """The same for what may be no text at all: every byte that is not of a secret stays."""
    return redact_text(original.decode("latin-1")).encode("latin-1")


def _redact_array(texts: pa.Array, counts: Counts) -> pa.Array:
    """`texts` with every secret replaced."""
    # by one thread: each would build an automaton of its own, a quarter of what searching 16 MB takes, and an extract
    # reads meanwhile
    hits = _match(texts, _ANY_TRIGGER)
    positions = pc.indices_nonzero(hits)
    if not len(positions):
        return texts
    stored = texts.take(positions).to_pylist()
    read = [unescaped(text) for text in stored]
    suspects = pa.array(read, texts.type)
    # the automaton of a trigger costs more than a look for words in a few texts
    matches = [
        [any(word in text for word in rule.words) for text in read]
        if rule.words
        else _match(suspects, rule.trigger).to_pylist()
        for rule in RULES
    ]
    before = sum(counts.values())
    clean = []
    for row, text in enumerate(read):
        done = text
        for rule, matched in zip(RULES, matches, strict=True):
            if matched[row]:
                done = rule.apply(done, counts)
        # what holds no secret stays letter by letter, escapes too
        clean.append(stored[row] if done == text else done)
    if sum(counts.values()) == before:
        return texts
    return pc.replace_with_mask(texts, hits, pa.array(clean, texts.type))


def _match(texts: pa.Array, pattern: str) -> pa.Array:
    """Mask of the rows that the pattern is found in."""
    return pc.fill_null(pc.match_substring_regex(texts, pattern), False)
