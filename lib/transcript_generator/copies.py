"""Sessions that carry on others: their transcripts begin with a copy of what was said before."""

from __future__ import annotations

import orjson

from transcript_generator.session import Session


def carry_on(earlier: Session, session: Session, *, as_fork: bool) -> None:
    """A new transcript begins with a copy of an earlier one's lines.

    A resumed session's copies keep their old sessionId; a forked one's have the new id, greater than the old: the
    originals stand.
    """
    lines = [
        line
        for line in earlier.main.lines
        if b'"uuid":' in line and b'"sessionId":' in line and b'"type":"progress"' not in line
    ]
    copied = lines[: max(1, len(lines) * 4 // 5)]
    if as_fork and earlier.era.has_attachments and session.rarely(0.7):
        copied = _forked(copied, session)
    elif as_fork:
        # without `forkedFrom` the smallest session has what is copied: only what is the earlier one's own is
        copied = [
            line.replace(earlier.id.encode(), session.id.encode()) for line in copied if earlier.id.encode() in line
        ]
    else:
        session.own.is_resumed = True
    session.main.lines[:0] = copied
    session.truth.documents += len(copied)
    session.truth.entry_copies += len(copied)


def _forked(lines: list[bytes], session: Session) -> list[bytes]:
    """Lines as a fork copies them: under its id, each saying which line it was made from, under a new uuid at times."""
    entries = [orjson.loads(line) for line in lines]
    has_new_uuids = session.rarely(0.5)
    uuids: dict[str, str] = {}
    for entry in entries:
        entry["forkedFrom"] = {"sessionId": entry["sessionId"], "messageUuid": entry["uuid"]}
        entry["sessionId"] = session.id
        if has_new_uuids:
            entry["uuid"] = uuids.setdefault(entry["uuid"], session.uuid().decode())
    dated = [entry for entry in entries if "timestamp" in entry]
    session.own.is_forked = True
    first = min(dated, key=lambda entry: (entry["timestamp"], entry["forkedFrom"]["sessionId"]))
    session.own.forked_from_session_id = first["forkedFrom"]["sessionId"]
    return [orjson.dumps(entry) for entry in entries]
