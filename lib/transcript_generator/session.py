"""Whole sessions: turns, what happens between them, and titles."""

from __future__ import annotations

import json
from typing import Any

import orjson

from transcript_generator import pools
from transcript_generator import vocabulary as words
from transcript_generator.agents import notify, side_request, start_agent
from transcript_generator.conversation import Conversation
from transcript_generator.tools import PIXEL, bash, command_of, pick
from transcript_generator.usage import Call
from transcript_generator.work import work

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


class Session(Conversation):
    """A session from its first prompt to its title."""

    def run(self, *, limit_ms: int, budget: int) -> None:
        """Prompts and answers until the time or the number of documents is reached, or the person is done."""
        rnd = self.rnd
        self.open()
        for number in range(min(30, 1 + int(self.rng.expovariate(0.25)))):
            if number:
                roll = rnd()
                if roll < 0.012:
                    self.tick(8 * HOUR_MS, 13 * HOUR_MS)  # a night
                elif roll < 0.15:
                    self.tick(10 * MINUTE_MS, 100 * MINUTE_MS)  # a pause
                else:
                    self.tick(8_000, 240_000)
                if self.clock_ms > limit_ms or self.truth.documents >= budget:
                    break
            self.turn(number, limit_ms)
        self.close()

    # Turns

    def turn(self, number: int, limit_ms: int) -> None:
        """A prompt and everything until Claude is done."""
        rnd = self.rnd
        self.maybe_change_something()
        if rnd() < 0.1 and not self.own.is_automated:
            self.command()
            self.tick(2_000, 20_000)
        self.ask(number)
        self.tick(1_500, 6_000)
        for _ in range(min(60, 1 + int(self.rng.expovariate(0.085)))):
            if self.clock_ms > limit_ms:
                break
            if rnd() < 0.02 and self.own.tools:
                start_agent(self)
            else:
                work(self, self.main)
            self.tick(400, 6_000)
            if rnd() < 0.012 and not self.own.is_automated:
                self.interject()
            if self.main.context > self.context_limit:
                self.compact()
        self.answer()
        self.tick(1, 40)  # what happens at one instant has no order
        if rnd() < 0.25:
            self.aside()
        if self.era.has_attachments and self.rarely(0.06):
            self.others_write()
            self.tick(1, 40)
        if self.era.has_attachments and self.rarely(0.02):
            self.placeholder()
            self.tick(1, 40)
        if rnd() < 0.9:
            self.keep_house()

    def ask(self, number: int) -> None:
        """The prompt of a turn: a task first, then what follows from it."""
        rnd = self.rnd
        if self.own.is_automated:
            self.prompt(pick(self, words.AUTOMATED))
            return
        if number == 0 or rnd() < 0.12:
            task, self.task_title = pick(self, self.project.tasks)
        else:
            task = pick(self, words.FOLLOW_UPS)
        before: list[dict[str, Any]] = []
        if rnd() < 0.03 or "screenshot" in task:
            source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
            before = [{"type": "image", "source": source}]
        elif rnd() < 0.01:
            source = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
            before = [{"type": "document", "source": source}]
        elif rnd() < 0.015:
            path = f"{self.project.path}/{pick(self, self.project.files)[0]}"
            opened = f"<ide_opened_file>The user opened the file {path} in the IDE.</ide_opened_file>"
            before = [{"type": "text", "text": opened}]
        self.prompt(task, before=before)

    def answer(self) -> None:
        """How a turn ends."""
        roll = self.rnd()
        if roll < 0.06 and not self.own.is_automated:
            suffix = "" if roll < 0.03 else " for tool use"
            self.user_line(b'[{"type":"text","text":"[Request interrupted by user%b]"}]' % suffix.encode(), "interrupt")
            self.own.interrupts += 1
            return
        if roll < 0.068:
            self.api_error()
            return
        # a pasted log now and then: an answer that costs much
        fresh = 120_000 + int(self.rnd() * 200_000) if roll > 0.995 else None
        self.respond(self.main, text=pick(self, pools.texts("ANSWERS")), fresh=fresh)
        if self.era.marks_origin and roll < 0.12:
            side_request(self, "aprompt_suggestion")
        if self.era.embeds_progress or self.era.has_attachments:
            duration = int(self.rnd() * 90_000)
            self.entry(self.main, b"system", b'"subtype":"turn_duration","durationMs":%d,"isMeta":false' % duration)
            self.own.turn_duration_ms = (self.own.turn_duration_ms or 0) + duration

    def interject(self) -> None:
        """The user types while Claude works."""
        text = pick(self, words.QUEUED).format(int(self.rnd() * 100_000))
        if text in self.said or text in self.queued:
            return
        operation = {"type": "queue-operation", "operation": "enqueue", "timestamp": self.now(), "sessionId": self.id}
        self.loose(operation | {"content": text})
        self.tick(5, 3_000)
        if self.era.has_attachments and self.rnd() < 0.6:
            self.queued_prompt(text)
        else:  # it stands in a user line
            if self.era.has_attachments:
                self.queue(text)
                self.tick(5, 20)
            self.prompt(text)
        self.tick(50, 900)

    def command(self) -> None:
        """A slash command and what it printed."""
        self.slash_command(pick(self, ["context", "model", "compact-notes", "status"]))
        self.tick(5, 50)
        text = "<local-command-stdout>Context: 45k of 200k tokens</local-command-stdout>"
        self.user_line(orjson.dumps(text), "command_output")

    # Between turns

    def maybe_change_something(self) -> None:
        """Another folder, branch, version or model."""
        rnd = self.rnd
        if rnd() < 0.04 and self.project.folders:
            self.move(pick(self, [self.project.path, f"{self.project.path}/{pick(self, self.project.folders)}"]))
        if rnd() < 0.04:
            self.branch = pick(self, self.project.branches)
        if rnd() < 0.01:
            self.version = self.era.versions[1]
        if rnd() < 0.02 and not self.era.marks_origin:
            self.main.model = "claude-opus-4-6"
        self.settle(self.main)

    def aside(self) -> None:
        """User lines nobody typed, and lines that lack something."""
        roll = self.rnd()
        if roll < 0.35:
            text = b'"Caveat: The messages below were generated by the user while running local commands."'
            self.user_line(text, "meta", b',"isMeta":true')
        elif roll < 0.6:
            self.user_line(orjson.dumps(f"<bash-input>{command_of(self)}</bash-input>"), "shell_command")
            self.tick(20, 400)
            self.user_line(b'"<bash-stdout>ok</bash-stdout><bash-stderr></bash-stderr>"', "command_output")
        elif roll < 0.85:
            notify(self)
        else:
            self.odd_user_line("Continue from where you left off.", "timestamp" if roll < 0.92 else "sessionId")

    def api_error(self) -> None:
        """A request that failed, and its placeholder."""
        says_why = self.era.has_attachments
        status = self.more.choice(["529", "429", "ECONNRESET"])
        for attempt in range(1, 2 + (self.more.randint(0, 2) if says_why else 0)):
            error = (
                b'"subtype":"api_error","level":"error","retryAttempt":%d,"maxRetries":10,"retryInMs":541.2' % attempt
            )
            if says_why and status.isdigit():
                error += b',"error":{"status":%b,"error":{"error":{"type":"overloaded_error"}}}' % status.encode()
            elif says_why:
                error += b',"cause":{"code":"%b"},"error":{"cause":{"code":"%b"}}' % (status.encode(), status.encode())
            self.entry(self.main, b"system", error)
            self.own.api_errors_told.append((status if says_why else None, attempt, False))
            self.tick(500, 2_000)
        message = {
            "id": self.uuid().decode(),
            "model": "<synthetic>",
            "role": "assistant",
            "type": "message",
            "stop_reason": "stop_sequence",
            "stop_sequence": "",
            "usage": {"input_tokens": 0, "output_tokens": 0},
            "content": [{"type": "text", "text": 'API Error: 529 {"type":"overloaded_error"}'}],
        }
        body = b'"message":%b,"isApiErrorMessage":true,"error":"unknown"' % orjson.dumps(message)
        if says_why:
            body += b',"apiErrorStatus":529'
        self.entry(self.main, b"assistant", body)
        self.own.api_errors_told.append(("529", None, True))
        self.count_message("api_error")
        self.own.api_error_count += 1
        self.truth.api_errors += 1

    def placeholder(self) -> None:
        """Claude Code notes that nothing was asked of the model: no error, no response."""
        message = {
            "id": self.uuid().decode(),
            "model": "<synthetic>",
            "role": "assistant",
            "type": "message",
            "usage": {"input_tokens": 0, "output_tokens": 0},
            "content": [{"type": "text", "text": "No response requested."}],
        }
        self.entry(self.main, b"assistant", b'"message":%b,"isApiErrorMessage":false' % orjson.dumps(message))
        self.count_message("placeholder")

    def others_write(self) -> None:
        """User lines that nobody typed as a prompt: another session's, a schedule's, a channel's."""
        kind, text, marks = self.more.choice(words.WRITTEN_BY_OTHERS)
        self.user_line(orjson.dumps(text), kind, marks)

    def compact(self) -> None:
        """Claude Code compacts the context."""
        if self.era.subagents == "folder":
            side_request(self, "acompact")
        self.tick(1, 40)
        parent = self.main.parent
        self.main.parent = b"null"
        boundary = (
            b'"subtype":"compact_boundary","content":"Conversation compacted","isMeta":false,"level":"info",'
            b'"logicalParentUuid":%b,"compactMetadata":{"trigger":"%b","preTokens":%d%b}'
        )
        trigger, before = ("manual" if self.rarely(0.2) else "auto"), self.main.context
        after, duration = (None, None)
        more = b""
        if self.era.marks_origin:
            after, duration = self.more.randint(9_000, 30_000), self.more.randint(5_000, 90_000)
            more = b',"postTokens":%d,"durationMs":%d' % (after, duration)
        self.entry(self.main, b"system", boundary % (parent, trigger.encode(), before, more))
        self.own.compactions_told.append((trigger, before, after, duration))
        self.tick(1, 5)
        text = b'"This session is being continued from a previous conversation that ran out of context."'
        self.user_line(text, "compact_summary", b',"isCompactSummary":true,"isVisibleInTranscriptOnly":true')
        self.main.context = 12_000 + int(self.rnd() * 9_000)
        self.own.compactions += 1

    def keep_house(self) -> None:
        """Entries that are no conversation: without uuid, time or session, of unknown types, with odd keys."""
        rnd = self.rnd
        message_id = self.uuid().decode()
        snapshot = {"messageId": message_id, "trackedFileBackups": {}, "timestamp": self.now()}
        self.loose(
            {"type": "file-history-snapshot", "messageId": message_id, "snapshot": snapshot, "isSnapshotUpdate": False}
        )
        if self.era.has_attachments:
            # written again and again: copies of one entry
            self.loose({"type": "permission-mode", "permissionMode": "acceptEdits", "sessionId": self.id})
            self.loose({"type": "last-prompt", "lastPrompt": f"{message_id[:8]} ...", "sessionId": self.id})
            if rnd() < 0.2:
                self.loose({"type": "mode", "mode": "normal", "sessionId": self.id})
            if rnd() < 0.2:
                delta = {"messageId": message_id, "trackingPath": "src/a.py", "timestamp": self.now()}
                self.loose({"type": "file-history-delta", **delta})
        if self.era.marks_origin:
            self.state_cost()
            if rnd() < 0.05:
                odd = {"a.b": {"$c": 2**60 + 1}, "": None, "at": self.now()}
                self.loose({"type": "future-thing", "sessionId": self.id, **odd})
                self.truth.unknown_types["future-thing"] += 1
        if rnd() < 0.5:
            self.stop_hooks()

    def stop_hooks(self) -> None:
        """What the Stop hooks of a turn took, as a summary lists them; one that blocks is told there too."""
        hooks = [{"command": "notify.sh", "durationMs": 30 + int(self.more.random() * 3_000)}]
        if self.rarely(0.4):
            hooks.append({"command": "review.sh", "durationMs": 10 + int(self.more.random() * 100)})
        is_blocked = self.rarely(0.05)
        body = (
            b'"subtype":"stop_hook_summary","hookCount":%d,"hookInfos":%b,"hookErrors":[],"preventedContinuation":%b,'
            b'"hasOutput":false,"level":"suggestion"'
        )
        self.entry(self.main, b"system", body % (len(hooks), orjson.dumps(hooks), b"true" if is_blocked else b"false"))
        for hook in hooks:
            self.count_hook("Stop", int(str(hook["durationMs"])))
        if is_blocked:
            self.count_hook("Stop", None, "blocked", is_run=False)
        if self.era.has_attachments and self.rarely(0.3):
            # a Stop hook that the summary lists already, and one before a call
            stop = {"type": "hook_success", "hookName": "Stop", "hookEvent": "Stop", "durationMs": 12, "content": ""}
            self.entry(self.main, b"attachment", b'"attachment":%b' % orjson.dumps(stop))
            self.count_hook("Stop", None, is_run=False)
            outcome, kind = self.more.choice([("blocked", "hook_blocking_error"), ("cancelled", "hook_cancelled")])
            hook = {"type": kind, "hookName": "PreToolUse:Bash", "hookEvent": "PreToolUse", "durationMs": 70}
            self.entry(self.main, b"attachment", b'"attachment":%b' % orjson.dumps(hook))
            self.count_hook("PreToolUse:Bash", 70, outcome)

    def state_cost(self) -> None:
        """Claude Code's own sum up to now; it pays for requests, such as titles, that it writes no line of."""
        if self.stated_beside is None:
            self.stated_beside = self.more.choice([0, 0, 1_200_000, 250_000_000])
        total = self.spent_nano + self.stated_beside
        model = self.main.model.removeprefix("anthropic/").replace(".", "-")
        models = {model: {"costUSD": self.spent_nano / 1e9}}
        if self.stated_beside:
            models["claude-haiku-4-5-20251001"] = {"costUSD": self.stated_beside / 1e9}
        self.loose({"type": "cost-state", "sessionId": self.id, "totalCostUSD": total / 1e9, "modelUsage": models})
        self.own.stated_nano_usd = total

    # Beginning and end

    def open(self) -> None:
        """What stands before the first prompt."""
        if self.era.has_attachments and self.rnd() < 0.8:
            source = "resume" if self.rnd() < 0.04 else "startup"
            self.own.is_resumed = source == "resume"
            hook = b'{"type":"hook_success","hookName":"SessionStart:%b","hookEvent":"SessionStart","content":""}'
            self.entry(self.main, b"attachment", b'"attachment":' + hook % source.encode())
            self.count_hook(f"SessionStart:{source}", None)
            skills = " ".join(f"- skill-{number}: what it is for" for number in range(40))
            listing = b'"attachment":{"type":"skill_listing","content":%b}' % orjson.dumps(skills)
            self.entry(self.main, b"attachment", listing)
            self.tick(200, 9_000)

    def close(self) -> None:
        """A call that nobody answers at times, a title, and the sums."""
        if self.rnd() < 0.15:
            call: Call = bash(self, self.main)
            call.is_background = b"run_in_background" in call.input  # what moves there says so in its result
            self.respond(self.main, calls=[call])
            self.leave_pending(call)
        self.close_turn()
        self.name_it()
        self.find_outliers()
        if self.rnd() < 0.02:  # some tools write JSON with spaces
            self.main.lines[:] = [json.dumps(orjson.loads(line)).encode() for line in self.main.lines]
        self.roll_up()

    def name_it(self) -> None:
        """A title of one of the kinds. Of several of one kind the one written most often stands."""
        roll = self.rnd()
        title = self.task_title if not self.own.is_automated else "Nightly check"
        if self.era.has_attachments and roll < 0.75:
            self.loose({"type": "ai-title", "aiTitle": words.TITLE_FIRST_TRY, "sessionId": self.id})
            for _ in range(2 + int(self.rnd() * 3)):
                self.loose({"type": "ai-title", "aiTitle": title, "sessionId": self.id})
            if roll < 0.1:
                title = title.lower().replace(" ", "-")
                self.loose({"type": "custom-title", "customTitle": title, "sessionId": self.id})
                self.loose({"type": "agent-name", "agentName": title, "sessionId": self.id})
        elif not self.era.has_attachments and roll < 0.5:
            # names its session by an entry of it
            self.loose({"type": "summary", "summary": title, "leafUuid": orjson.loads(self.main.parent)})
        else:
            return
        self.own.title = title

    task_title = ""
    stated_beside: int | None = None  # billionths of a USD that Claude Code paid for and wrote no line of
