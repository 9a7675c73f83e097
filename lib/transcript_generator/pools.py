"""JSON texts made once: outputs, file contents, thoughts. Lines are put together from them, which makes bulk cheap."""

from __future__ import annotations

import random
from functools import cache

import orjson

from transcript_generator import vocabulary as words


@cache
def outputs(bulk: int = 1) -> list[bytes]:
    """What commands print: JSON strings, most of them short, some long; `bulk` times as many lines."""
    rng = random.Random("outputs")
    return [
        orjson.dumps("\n".join(rng.choices(words.OUTPUT, k=lines * bulk)))
        for lines in sorted(min(200, 1 + int(rng.expovariate(1 / 14))) for _ in range(64))
    ]


@cache
def numbered_files(bulk: int = 1) -> list[bytes]:
    """What Read shows of a file: JSON strings; `bulk` times as many lines."""
    rng = random.Random("numbered")
    texts = []
    for _ in range(48):
        lines = rng.choices(words.CODE, k=min(300, 5 + int(rng.expovariate(1 / 50))) * bulk)
        texts.append(orjson.dumps("\n".join(f"{number:>6}\t{line}" for number, line in enumerate(lines, 1))))
    return texts


@cache
def thoughts() -> list[bytes]:
    """Thinking blocks: in the clear, with an empty text (from 2.1.78 on), redacted."""
    rng = random.Random("thoughts")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    blocks = []
    for number in range(32):
        signature = "Eu" + "".join(rng.choices(alphabet, k=rng.randint(180, 900))) + "=="
        text = " ".join(rng.choices(words.REMARKS, k=rng.randint(1, 6))) if number < 16 else ""
        blocks.append(orjson.dumps({"type": "thinking", "thinking": text, "signature": signature}))
    return [*blocks, orjson.dumps({"type": "redacted_thinking", "data": "Em" + "".join(rng.choices(alphabet, k=400))})]


@cache
def texts(kind: str) -> list[bytes]:
    """Text blocks of the vocabulary's ANSWERS or REMARKS."""
    return [orjson.dumps({"type": "text", "text": text}) for text in getattr(words, kind)]


@cache
def skewed(median: int, high: int, spread: float) -> tuple[int, ...]:
    """Quantiles of a log-normal distribution, to be drawn from with one random number."""
    rng = random.Random(f"{median} {high} {spread}")
    values = (int(median * rng.lognormvariate(0, spread)) for _ in range(1024))
    return tuple(sorted(max(1, min(high, value)) for value in values))
