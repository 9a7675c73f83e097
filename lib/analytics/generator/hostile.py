"""Lines that have broken parsers: each is stored or becomes a dead letter with a reason, and none stops the rest."""

from __future__ import annotations

from analytics.generator.truth import Truth

FOLDER = "-home-ada-hostile"

# Whole JSON objects: stored, whatever is in them.
STORED = [
    b'{"type":"user","uuid":"h-1","sessionId":42,"timestamp":{"a":1},"message":"a string"}',
    b'{"type":["user"],"uuid":null,"isSidechain":"perhaps","message":{"role":1,"content":{"a":[]}}}',
    b'{"type":"system","uuid":"h-2","timestamp":"0001-01-01T00:00:00Z"}',
    b'{"type":"system","uuid":"h-3","timestamp":"9999-12-31T23:59:59Z"}',
    b'{"type":"system","uuid":"h-4","timestamp":"2026-01-01T10:00:00"}',
    b'{"type":"system","uuid":"h-5","n":123456789012345678901234567890,"x":1e999}',
    b'{"type":"system","uuid":"h-6","nul":"a\\u0000b"}',
    b'{"type":"system","uuid":"h-7","lone":"\\ud800 surrogate"}',
    b'{"type":"system","uuid":"h-8","a.b":1,"$set":{"$x":1},"":0}',
    b"{}",
    b'{"type":"system","uuid":"h-9","deep":' + b"[" * 150 + b"]" * 150 + b"}",
    b'{"type":"system","uuid":"h-10","huge":"' + b"x" * 1_700_000 + b'"}',
    b'{"type":"system","uuid":"h-11","bad utf-8":"\xff\xfe"}',
]
MALFORMED = [
    b"// a comment",
    b'"a string"',
    b"42",
    b"[1]",
    b'{"type":"user",',
    b"{'single': 'quotes'}",
]


def hostile_lines(truth: Truth) -> list[bytes]:
    """Hostile lines, counted in `truth`."""
    truth.documents += len(STORED) + 2
    truth.malformed += len(MALFORMED)
    glued = b'{"type":"system","uuid":"h-20"}{"type":"system","uuid":"h-21"}'
    return [*STORED, *MALFORMED, glued, b"", b"   "]
