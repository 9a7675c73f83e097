"""What a response and a call are, and the usage a response's lines carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from transcript_generator import vocabulary as words
from transcript_generator.prices import Tokens


@dataclass(slots=True)
class Response:
    """What later findings need to know of a response."""

    key: str
    tokens: Tokens
    nano_usd: int | None
    calls: int


@dataclass(slots=True)
class Call:
    """A tool call. `complete` writes its result; a call that nobody answers has none."""

    tool: str
    input: bytes  # JSON text
    complete: Callable[[Call], None]
    operation: str | None = None  # of a file tool: read, create, overwrite or edit
    file: tuple[str, str] = ("", "")  # its path and language
    id: str = ""
    at_ms: int = 0
    line: int = 0  # where it stands in its chain's lines
    uuid: bytes = b""
    response: Response | None = None
    attributed: tuple[tuple[str, str], ...] = ()  # kinds and names of what it is a call of
    is_background: bool = False

    def again(self) -> Call:
        """The same call, to be made once more."""
        return replace(self, id="", response=None)


@dataclass(slots=True)
class Extras:
    """What a response's usage says beside its tokens (2.1.200 on)."""

    searches: int = 0
    geo: bytes = b""
    tier: bytes = b"standard"
    thinking: int | None = None
    advisor: Tokens | None = None  # an advisor's answer, which the totals leave out
    is_fast: bool = False

    def milli_factor(self, model: str) -> int:
        """What place and tier make of the model's price, in thousandths."""
        factor = 1_000
        if self.geo and model in words.US_MODELS:
            factor = factor * 11 // 10
        if self.tier == b"batch" and model.startswith(("claude", "anthropic/")):
            factor //= 2
        return factor


def usage_json(tokens: Tokens, output: int, speed: bytes | None, extras: Extras, *, is_split: bool) -> bytes:
    """JSON text of a response's usage; `output` may still be partial."""
    split = b""
    if is_split:
        split = b',"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d}' % tokens[2:4]
    more = b""
    if speed is not None:
        more = (
            b',"server_tool_use":{"web_search_requests":%d,"web_fetch_requests":0},"inference_geo":"%b","speed":"%b"'
            % (extras.searches, extras.geo, speed)
        )
    if extras.thinking is not None:
        more += b',"output_tokens_details":{"thinking_tokens":%d}' % min(output, extras.thinking)
    if extras.advisor is not None:
        item = b'{"type":"%b",%b"input_tokens":%d,"output_tokens":%d,"cache_read_input_tokens":%d}'
        more += b',"iterations":[%b,%b]' % (
            item % (b"message", b"", tokens[0], output, tokens[4]),
            item
            % (
                b"advisor_message",
                b'"model":"%b",' % words.ADVISOR_MODEL.encode(),
                *extras.advisor[:2],
                extras.advisor[4],
            ),
        )
    return (
        b'{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d%b'
        b',"output_tokens":%d,"service_tier":"%b"%b}'
        % (tokens[0], tokens[2] + tokens[3], tokens[4], split, output, extras.tier, more)
    )
