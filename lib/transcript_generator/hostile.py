"""Lines that have broken parsers: each is stored or becomes a dead letter with a reason, and none stops the rest."""

from __future__ import annotations

from transcript_generator.truth import SessionTruth, Truth

FOLDER = "-home-ada-hostile"

# Whole JSON objects: stored, whatever is in them.
_STORED = [
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
    b'\0\0\0{"type":"system","uuid":"h-12"}\0\0',
]
_MALFORMED = [
    b"// a comment",
    b'"a string"',
    b"42",
    b"[1]",
    b'{"type":"user",',
    b"{'single': 'quotes'}",
    b"\0\0\0\0",
    b'{"deep":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
]
_GLUED = b'{"type":"system","uuid":"h-20"}{"type":"system","uuid":"h-21"}'


def hostile_files(truth: Truth) -> dict[str, bytes]:
    """File names below `FOLDER` and their content; counted in `truth`."""
    truth.documents += len(_STORED) + 2 + 1
    truth.malformed += len(_MALFORMED)
    truth.unfinished += 1
    truth.unknown_types.update({'["user"]': 1, "(none)": 1})
    # the one line that belongs to a session says nothing and has no time
    truth.sessions["42"] = SessionTruth(
        project_id=FOLDER, started_ms=None, ended_ms=None, entry_count=1, user_entry_count=1, message_count=1
    )
    truth.projects[FOLDER].session_count = 1
    truth.projects[FOLDER].message_count = 1
    truth.message_count += 1
    truth.messages_by_kind["meta"] += 1
    truth.entries_without_time += 1
    return {
        "hostile.jsonl": b"\n".join([*_STORED, *_MALFORMED, _GLUED, b"", b"   ", b""]),
        "half-written.jsonl": b'{"type":"system","uuid":"h-30"}\n{"type":"user","uuid":"h-31","mess',
    }
