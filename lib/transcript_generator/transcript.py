"""The lines of one session's transcripts: identity, time and envelope, and what is counted of every line."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from transcript_generator.prices import PriceList
from transcript_generator.truth import Counts, SessionTruth, Truth, earliest, latest
from transcript_generator.vocabulary import Era, Project

ACTIVE_GAP_MS = 300_000
QUARTER_MS = 900_000  # everything in a quarter of an hour has one local day and hour, in every time zone


@dataclass(slots=True)
class Chain:
    """Where entries go: the main chain or one sub-agent's."""

    lines: list[bytes]
    model: str
    is_side: bool = False
    agent_id: str | None = None
    parent: bytes = b"null"
    context: int = 0  # tokens in the prompt cache
    agent_type: str = "unknown"  # of a sub-agent, as the call that started it says
    head: bytes = b""  # the envelope before an entry's own fields, and after them
    tail: bytes = b""
    counts: Counts = field(default_factory=Counts)  # of its responses


class Calendar:
    """Local days and hours of a time zone."""

    def __init__(self, timezone: str) -> None:
        self.zone = ZoneInfo(timezone)
        self._known: dict[int, tuple[str, int, int]] = {}

    def local(self, quarter: int) -> tuple[str, int, int]:
        """ISO day, day of the week (1: Monday) and hour of a quarter of an hour, counted from 1970."""
        found = self._known.get(quarter)
        if found is None:
            at = datetime.fromtimestamp(quarter * QUARTER_MS // 1000, self.zone)
            found = self._known[quarter] = (at.date().isoformat(), at.isoweekday(), at.hour)
        return found


@lru_cache(maxsize=4096)
def _minute(minute: int) -> bytes:
    return datetime.fromtimestamp(minute * 60, UTC).strftime("%Y-%m-%dT%H:%M:").encode()


def iso(ms: int) -> bytes:
    """ISO 8601 of Unix milliseconds."""
    minute, rest = divmod(ms, 60_000)
    return b"%b%02d.%03dZ" % (_minute(minute), rest // 1000, rest % 1000)


class Transcript:
    """Writes one session's lines and counts its entries.

    Time (`clock_ms`) only moves forward, so what comes later is written later; where real lines stand out of order,
    they are exchanged after they were written.
    """

    def __init__(
        self,
        *,
        truth: Truth,
        rng: random.Random,
        calendar: Calendar,
        prices: PriceList,
        project: Project,
        era: Era,
        model: str,
        clock_ms: int,
        is_automated: bool,
        after_id: str = "",
        bulk: int = 1,
    ) -> None:
        """`after_id`: the session's id is greater than this one; `bulk`: how often tools return as much text."""
        self.truth = truth
        self.rng = rng
        self.rnd = rng.random
        self.rarely: Callable[[float], bool]
        self.calendar = calendar
        self.prices = prices
        self.project = project
        self.era = era
        self.clock_ms = clock_ms
        self.bulk = bulk

        self._uuid_head = b""
        self.id = self.uuid().decode()
        while self.id <= after_id:
            self._uuid_head = b""
            self.id = self.uuid().decode()
        self.cwd = project.path
        self.branch = rng.choice(project.branches)
        self.version = era.versions[0]
        self.entrypoint: str | None = None
        if era.has_attachments:
            self.entrypoint = "sdk-cli" if is_automated else rng.choice(["cli", "cli", "cli", "claude-desktop"])
        # what newer versions added draws from a source of its own, so that all else of a history stays what it was
        self.more = random.Random(self.id)
        self.rarely = lambda share: self.more.random() < share
        self.slug = f"{rng.choice(['quiet', 'brisk', 'amber'])}-{rng.choice(['otter', 'lantern', 'harbor'])}"

        self.folder = re.sub(r"[^A-Za-z0-9]", "-", project.path)
        self.transcript = PurePosixPath(self.folder, f"{self.id}.jsonl")
        self.files: dict[PurePosixPath, list[bytes]] = {self.transcript: []}
        self.main = Chain(self.files[self.transcript], model)
        self.own = SessionTruth(project_id=self.folder, is_automated=is_automated, entrypoint=self.entrypoint)
        self.own.started_ms = self.own.ended_ms = clock_ms
        self.own.person = project.path.split("/")[2]
        self.cells: dict[tuple[int, str], Counts] = {}
        self.kinds: dict[str, int] = {}
        self._contents: set[bytes] = set()
        self._last_main_ms: int | None = None
        self._last_main_cell = Counts()
        self._quarter = -1
        self._cell = Counts()
        self._minute = -1
        self._minute_text = b""
        self._entries_here = 0  # main-chain entries in this working directory not yet counted
        self.settle(self.main)

    # Identity, time and place

    def uuid(self) -> bytes:
        """A random uuid. Only its last 48 bits are drawn every time: most of bulk's lines need one."""
        bits = self.rng.getrandbits(54)
        if bits < 2**48 or not self._uuid_head:
            h = b"%020x" % self.rng.getrandbits(80)
            self._uuid_head = b"%b-%b-4%b-a%b-" % (h[:8], h[8:12], h[13:16], h[17:20])
        return b"%b%012x" % (self._uuid_head, bits & 0xFFFFFFFFFFFF)

    def id_of(self, prefix: bytes) -> bytes:
        """An id such as those of the API."""
        return b"%b_01%022x" % (prefix, self.rng.getrandbits(88))

    def tick(self, low_ms: int, high_ms: int) -> None:
        """Let time pass."""
        self.clock_ms += low_ms + int(self.rnd() * (high_ms - low_ms))

    def settle(self, chain: Chain) -> None:
        """Make the envelope of a chain's entries anew, after something in it changed."""
        place = b'"userType":"external",%b"cwd":%b,"sessionId":"%b","version":"%b","gitBranch":"%b"' % (
            b'"entrypoint":"%b",' % self.entrypoint.encode() if self.entrypoint else b"",
            orjson.dumps(self.cwd),
            self.id.encode(),
            self.version.encode(),
            self.branch.encode(),
        )
        side = b'"isSidechain":%b,' % (b"true" if chain.is_side else b"false")
        if chain.agent_id:
            side += b'"agentId":"%b",' % chain.agent_id.encode()
        if self.era.has_attachments:
            chain.head, chain.tail = side, b",%b" % place + b',"slug":"%b"' % self.slug.encode()
        else:
            chain.head, chain.tail = side + place + b",", b""

    def move(self, cwd: str) -> None:
        """Claude Code changes its working directory."""
        self.truth.projects[self.folder].paths[self.cwd] += self._entries_here
        self._entries_here = 0
        self.cwd = cwd

    # What is counted of a moment

    def moment(self) -> Counts:
        """Counts of the running quarter of an hour, for everything but responses."""
        quarter = self.clock_ms // QUARTER_MS
        if quarter != self._quarter:
            self._quarter = quarter
            self._cell = self.cell(quarter, "")
        return self._cell

    def cell(self, quarter: int, model: str) -> Counts:
        """Counts of a quarter of an hour: a model's responses, or (model "") everything else."""
        found = self.cells.get((quarter, model))
        if found is None:
            found = self.cells[quarter, model] = Counts()
        return found

    def count_message(self, kind: str) -> None:
        """A message of a kind, now."""
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        self.moment().message_count += 1

    def _see_main(self) -> None:
        """A main-chain entry, now: the gap before it is work when it is short, on the day on which it began."""
        clock, before = self.clock_ms, self._last_main_ms
        if before is not None and clock - before <= ACTIVE_GAP_MS:
            self._last_main_cell.active_ms += clock - before
        self._last_main_ms = clock
        self._last_main_cell = self.moment()

    # Lines

    def entry(self, chain: Chain, kind: bytes, body: bytes) -> bytes:
        """Append an entry with its envelope; `body` is the JSON text of its own fields. Returns its uuid."""
        uuid = self.uuid()
        minute, rest = divmod(self.clock_ms, 60_000)
        if minute != self._minute:
            self._minute, self._minute_text = minute, _minute(minute)
        line = b'{"parentUuid":%b,%b"type":"%b",%b,"uuid":"%b","timestamp":"%b%02d.%03dZ"%b}' % (
            chain.parent,
            chain.head,
            kind,
            body,
            uuid,
            self._minute_text,
            rest // 1000,
            rest % 1000,
            chain.tail,
        )
        chain.lines.append(line)
        chain.parent = b'"%b"' % uuid
        truth, own = self.truth, self.own
        truth.documents += 1
        own.entry_count += 1
        own.ended_ms = self.clock_ms
        if kind == b"user":
            own.user_entry_count += 1
        elif kind == b"assistant":
            own.assistant_entry_count += 1
        if not chain.is_side:
            self._entries_here += 1
            self._see_main()
            if self.rnd() < 0.0005:  # the same line twice
                chain.lines.append(line)
                truth.documents += 1
                truth.entry_copies += 1
        return uuid

    def odd_line(self, document: dict[str, Any]) -> None:
        """Append an entry of the main chain that lacks a part of its envelope."""
        self.main.lines.append(orjson.dumps(document))
        self.truth.documents += 1
        self.own.entry_count += 1
        self._entries_here += 1
        if "timestamp" in document:
            self.own.ended_ms = self.clock_ms
            self._see_main()

    def loose(self, document: dict[str, Any]) -> None:
        """Append a document of the main chain that is no entry with a uuid; the same one again is a copy."""
        line = orjson.dumps(document)
        self.main.lines.append(line)
        self.truth.documents += 1
        if line in self._contents:
            self.truth.entry_copies += 1
            return
        self._contents.add(line)
        if "sessionId" in document:
            self.own.entry_count += 1
            if "timestamp" in document:
                self.own.ended_ms = self.clock_ms
                self._see_main()

    def now(self) -> str:
        """ISO 8601 of now."""
        return iso(self.clock_ms).decode()

    def day(self, at_ms: int | None = None) -> str:
        """The local day of a moment, in ISO."""
        return self.calendar.local((self.clock_ms if at_ms is None else at_ms) // QUARTER_MS)[0]

    def count_hook(self, name: str, duration_ms: int | None, outcome: str = "success", *, is_run: bool = True) -> None:
        """A hook's run, now; or what is told beside a run that is counted already."""
        hook = self.truth.hooks[self.day(), self.folder, name]
        hook.run_count += is_run
        hook.blocked_count += outcome == "blocked"
        hook.cancelled_count += outcome == "cancelled"
        if is_run and duration_ms is not None:
            hook.durations_ms.append(duration_ms)
            self.own.hook_ms = (self.own.hook_ms or 0) + duration_ms

    # The end

    def roll_up(self) -> None:
        """Add the session to everything it is a part of."""
        self.move(self.cwd)
        truth, own = self.truth, self.own
        project = truth.projects[self.folder]
        total = Counts()
        days: dict[str, Counts] = {}
        for (quarter, model), cell in self.cells.items():
            day, weekday, hour = self.calendar.local(quarter)
            total.add(cell)
            days.setdefault(day, Counts()).add(cell)
            truth.weekly_hours[weekday, hour].add(cell)
            if model:
                truth.models[model].add(cell)
                truth.usage[day, self.folder, model].add(cell)
                own.models[model] += cell.response_count
                block_hour = truth.hours[quarter // 4]
                block_hour.add(cell)
                block_hour.sessions.add(self.id)
        for day, counts in days.items():
            truth.days[day].add(counts)
            truth.days[day].session_count += counts.message_count > 0
        own.add(total)
        truth.add(total)
        project.add(total)
        project.session_count += 1
        project.first_seen_ms = earliest(project.first_seen_ms, own.started_ms)
        project.last_active_ms = latest(project.last_active_ms, own.ended_ms)
        own.claude_version = self.version
        own.git_branch = self.branch
        truth.messages_by_kind.update(self.kinds)
        for name in own.tools:
            truth.tool_facts[name].session_count += 1
        truth.sessions[self.id] = own
