"""Secrets out of the text before it is stored: `sk-ant-…` becomes `[REDACTED:anthropic_key]`.

Only what is a secret with high confidence: token formats of vendors, private key blocks, JSON web tokens,
passwords in connection strings, `Authorization` headers, and assignments to names such as `API_KEY` whose value
looks like a secret and not like code, a placeholder or a path.

The texts are JSON and stay valid JSON: what is replaced never contains a backslash or a double quote (a key
block, which does, only whole escapes inside one string). One vectorised pass finds the few rows worth
looking at; only those are seen by Python. Redacting twice changes nothing.

Token formats: https://github.com/gitleaks/gitleaks/blob/master/config/gitleaks.toml and the vendors' pages.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc

MARK = "[REDACTED:"

_W = r"[A-Za-z0-9_-]"  # the alphabet of most tokens

# kind, a text that stands in every token of that format (found first, it is cheap), the format
_FORMATS: tuple[tuple[str, str, str], ...] = (
    ("anthropic_key", "sk-ant-", rf"sk-ant-{_W}{{20,}}"),
    ("openrouter_key", "sk-or-", r"sk-or-(?:v1-)?[A-Za-z0-9]{32,}"),
    ("openai_key", "sk-", rf"sk-(?:proj|svcacct|admin|None)-{_W}{{20,}}"),
    ("openai_key", "sk-", r"sk-[A-Za-z0-9]{32,}"),
    ("aws_access_key_id", "AKIA", r"AKIA[A-Z0-9]{16}(?![A-Za-z0-9+/=_-])"),
    ("aws_access_key_id", "ASIA", r"ASIA[A-Z0-9]{16}(?![A-Za-z0-9+/=_-])"),
    ("github_token", "gh", r"gh[pousr]_[A-Za-z0-9]{36,}"),
    ("github_token", "github_pat_", r"github_pat_[A-Za-z0-9_]{22,}"),
    ("gitlab_token", "gl", rf"gl(?:pat|dt|rt|rtr|ptt|ft|imt|agent|soat|cbt|oas|wt)-{_W}{{20,}}(?:\.{_W}+)*"),
    ("slack_token", "xox", r"xox[abeoprs](?:\.xox[a-z])?-[A-Za-z0-9-]{10,}"),
    ("slack_token", "xapp-", r"xapp-[0-9]-[A-Za-z0-9-]{20,}"),
    (
        "slack_webhook",
        "hooks.slack.com/",
        r"hooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9/_-]{20,}",
    ),
    ("discord_webhook", "/api/webhooks/", rf"discord(?:app)?\.com/api/webhooks/[0-9]{{15,}}/{_W}{{40,}}"),
    ("stripe_key", "k_live_", r"[sr]k_live_[A-Za-z0-9]{10,}"),
    ("stripe_key", "k_test_", r"[sr]k_test_[A-Za-z0-9]{10,}"),
    ("stripe_key", "whsec_", r"whsec_[A-Za-z0-9+/]{24,}={0,2}"),
    ("google_api_key", "AIza", r"AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9+/=_-])"),
    ("google_oauth_token", "GOCSPX-", rf"GOCSPX-{_W}{{24,}}"),
    ("google_oauth_token", "ya29.", rf"ya29\.{_W}{{20,}}"),
    ("google_oauth_token", "1//0", rf"1//0{_W}{{40,}}"),
    ("npm_token", "npm_", r"npm_[A-Za-z0-9]{36,}"),
    ("pypi_token", "pypi-", rf"pypi-{_W}{{50,}}"),
    ("huggingface_token", "hf_", r"hf_[A-Za-z0-9]{30,}"),
    ("huggingface_token", "api_org_", r"api_org_[A-Za-z0-9]{30,}"),
    ("sendgrid_key", "SG.", rf"SG\.{_W}{{16,32}}\.{_W}{{16,64}}"),
    ("twilio_key", "SK", r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    ("telegram_bot_token", ":A", rf"[0-9]{{8,10}}:A{_W}{{34}}(?![A-Za-z0-9_-])"),
    ("azure_client_secret", "8Q~", r"[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}"),
    ("digitalocean_token", "_v1_", r"do[opr]_v1_[a-f0-9]{64}"),
    ("databricks_token", "dapi", r"dapi[a-f0-9]{32}(?:-[0-9])?(?![A-Za-z0-9])"),
    ("shopify_token", "shp", r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"),
    ("mailgun_key", "key-", r"key-[a-f0-9]{32}(?![A-Za-z0-9])"),
    ("mailchimp_key", "-us", r"[a-f0-9]{32}-us[0-9]{1,2}(?![A-Za-z0-9-])"),
    ("square_token", "sq0", rf"sq0[a-z]{{3}}-{_W}{{22,}}"),
    ("linear_key", "lin_api_", r"lin_api_[A-Za-z0-9]{32,}"),
    ("notion_token", "ntn_", r"ntn_[A-Za-z0-9]{40,}"),
    ("notion_token", "secret_", r"secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])"),
    ("postman_key", "PMAK-", r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    ("grafana_token", "glsa_", r"glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}"),
    ("grafana_token", "glc_", r"glc_[A-Za-z0-9+/]{32,}={0,2}"),
    ("sentry_token", "sntry", r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    ("doppler_token", "dp.", r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{40,}"),
    ("vault_token", "hv", rf"hv[sb]\.{_W}{{24,}}"),
    ("terraform_token", ".atlasv1.", rf"[A-Za-z0-9]{{14}}\.atlasv1\.{_W}{{60,}}"),
    ("age_key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    ("groq_key", "gsk_", r"gsk_[A-Za-z0-9]{40,}"),
    ("xai_key", "xai-", r"xai-[A-Za-z0-9]{60,}"),
    ("replicate_token", "r8_", r"r8_[A-Za-z0-9]{37,}"),
    ("perplexity_key", "pplx-", r"pplx-[A-Za-z0-9]{40,}"),
    ("supabase_key", "sbp_", r"sbp_[a-f0-9]{40}"),
    ("supabase_key", "sb_secret_", rf"sb_secret_{_W}{{20,}}"),
    ("netlify_token", "nfp_", r"nfp_[A-Za-z0-9]{36,}"),
    ("planetscale_token", "pscale_", r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{32,}"),
    ("docker_token", "dckr_", rf"dckr_[po]at_{_W}{{27,}}"),
    ("atlassian_token", "ATATT3", r"ATATT3[A-Za-z0-9_=-]{60,}"),
    ("figma_token", "figd_", rf"figd_{_W}{{36,}}"),
    ("airtable_token", "pat", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    ("newrelic_key", "NRAK-", r"NRAK-[A-Z0-9]{27}"),
    ("rubygems_key", "rubygems_", r"rubygems_[a-f0-9]{48}"),
    ("tailscale_key", "tskey-", r"tskey-[a-z]+-[A-Za-z0-9-]{20,}"),
    ("langsmith_key", "lsv2_", r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    ("alibaba_key_id", "LTAI", r"LTAI[A-Za-z0-9]{20}(?![A-Za-z0-9+/=_-])"),
    ("jwt", "eyJ", rf"eyJ{_W}{{10,}}\.eyJ{_W}{{10,}}\.{_W}*"),
)

# What must stand somewhere in a row for any of the above: short on purpose, the automaton stays small.
_FORMAT_TRIGGER = "|".join(
    (
        r"sk-(?:ant|or|proj|svcacct|admin|None)-|sk-[A-Za-z0-9]{20}",
        r"A[KS]IA[A-Z0-9]{8}",
        r"gh[pousr]_[A-Za-z0-9]{8}",
        r"github_pat_",
        rf"gl(?:pat|dt|rt|rtr|ptt|ft|imt|agent|soat|cbt|oas|wt)-{_W}{{8}}",
        r"xox[abeoprs][.-]",
        r"xapp-[0-9]",
        r"hooks\.slack\.com/",
        r"/api/webhooks/",
        r"[sr]k_(?:live|test)_",
        r"whsec_[A-Za-z0-9]",
        rf"AIza{_W}{{8}}",
        r"GOCSPX-|ya29\.[A-Za-z0-9]|1//0[A-Za-z0-9]{4}",
        r"npm_[A-Za-z0-9]{12}",
        r"pypi-[A-Za-z0-9]{8}",
        r"hf_[A-Za-z0-9]{12}|api_org_[A-Za-z0-9]",
        rf"SG\.{_W}{{8}}",
        r"SK[0-9a-f]{12}",
        rf"[0-9]:A{_W}{{8}}",
        r"8Q~",
        r"do[opr]_v1_|dapi[a-f0-9]{8}|shp(?:at|ca|pa|ss)_|key-[a-f0-9]{8}|-us[0-9]",
        r"sq0[a-z]{3}-|lin_api_|ntn_[A-Za-z0-9]{8}|secret_[A-Za-z0-9]{16}|PMAK-|glsa_|glc_[A-Za-z0-9]{8}|sntry[su]_",
        r"dp\.(?:pt|st|ct|sa|scim|audit)\.|hv[sb]\.[A-Za-z0-9_-]{8}|\.atlasv1\.|AGE-SECRET-KEY-1",
        r"gsk_[A-Za-z0-9]{8}|xai-[A-Za-z0-9]{8}|r8_[A-Za-z0-9]{8}|pplx-|sbp_|sb_secret_|nfp_[A-Za-z0-9]|pscale_",
        r"dckr_[po]at_|ATATT3|figd_|pat[A-Za-z0-9]{14}\.|NRAK-|rubygems_[a-f0-9]|tskey-|lsv2_",
        r"LTAI[A-Za-z0-9]{8}",
        r"eyJ[A-Za-z0-9_-]{10,}\.eyJ",
    )
)

_PRIVATE_KEY_BEGIN = "-----BEGIN "
_PEM_LABEL = r"(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"

# A name in capitals that says secret, an assignment, a value; quotes may be escaped any number of times.
_QUOTES = r"""\\*["'`]?"""
_ASSIGN = rf"{_QUOTES}\s{{0,4}}(?:=>|:=|[=:])\s{{0,4}}(?:\\+[nt])?\s{{0,4}}"
_VALUE = r"[^\s\"'`\\,;<>(){}\[\]|]"
_ENV_WORD = "KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD"
_ENV_SUFFIX = "_BASE|_PROD|_PRODUCTION|_DEV|_DEVELOPMENT|_STAGING|_TEST|_LIVE|_MAIN|_OLD|_NEW|_?[0-9]{1,2}"
_CODE_WORD = (
    r"api[_-]?key|apikey|secret[_-]?key|access[_-]?key|account[_-]?key|encryption[_-]?key|access[_-]?token|"
    r"auth[_-]?token|refresh[_-]?token|bearer[_-]?token|bot[_-]?token|private[_-]?token|session[_-]?token|"
    r"client[_-]?secret|api[_-]?secret|app[_-]?secret|webhook[_-]?secret|signing[_-]?secret|jwt[_-]?secret|"
    r"password|passwd|passphrase"
)
# The names' last words; their beginnings are looked up backwards from there. Patterns that start with any name, or
# ignore case, are slow to search in Python: no first character to look for.
_ASSIGNMENT = re.compile(
    r"([KTSPktsp](?:EY|OKEN|ECRET|ASS(?:WORD|WD|PHRASE)?|WD|ey|oken|ecret|ass(?:word|wd|phrase))"
    rf"(?:{_ENV_SUFFIX})?)({_ASSIGN})({_QUOTES})({_VALUE}{{6,512}})"
)
_CAPITALS_BEFORE = re.compile(r"[A-Z0-9_]*\Z")
_CODE_NAME = re.compile(rf"(?:{_CODE_WORD})\Z", re.IGNORECASE)
_FLAG = re.compile(
    r"(--(?:[a-z]+-)?(?:api-key|token|password|secret|passphrase))([ =])(\\*[\"'])?" + rf"({_VALUE}{{8,512}})"
)

_AUTHORIZATION = re.compile(
    rf"([Aa](?:uthorization|UTHORIZATION){_ASSIGN}\\*[\"'`]?\s?"
    r"([Bb]asic|BASIC|[Bb]earer|BEARER|[Tt]oken|[Aa]pi[Kk]ey)\s+)([A-Za-z0-9._~+/=:-]{8,})"
)
_BEARER = re.compile(r"([Bb](?:earer|EARER)) ([A-Za-z0-9._~+/=-]{16,})")
# user may be empty (redis://:password@host); the password ends at the last @ before the path.
_CONNECTION = re.compile(r"(://[^\s:@/\"'\\<>()\[\]]{0,128}:)([^\s/\"'\\<>`]{1,256})(@(?=[A-Za-z0-9\[$]))")
_ADO = re.compile(r"(;\s?(?:Password|Pwd|PWD|password|pwd|AccountKey|SharedAccessKey)\s?=\s?)([^;\s\"'\\<>]{4,256})")

_ENV_TRIGGER = (
    r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD)(?:_[A-Z_]{1,12})?[0-9]{0,2}"
    rf"""\\*["'`]?\s*(?:=>|:=|[=:])\s*(?:\\+[nt])?\s*{_QUOTES}[^\s"'`\\,;<>(){{}}\[\]|$]"""
)
# What a row must match for a group of rules to be worth its time; the first pass asks for any of them.
_TRIGGERS = {
    "format": _FORMAT_TRIGGER,
    "private_key": r"PRIVATE KEY(?: BLOCK)?-----",
    "assignment": rf"{_ENV_TRIGGER}|(?i:{_CODE_WORD}){_ASSIGN}{_QUOTES}{_VALUE}{{8}}",
    "flag": r"--(?:[a-z]+-)?(?:api-key|token|password|secret|passphrase)[ =]",
    "authorization": r"(?i:authorization)\\*[\"'`]?\s*[=:]|(?:[Bb]earer|BEARER) [A-Za-z0-9._~+/=-]{16}",
    "connection": r"://[^\s:@/\"'\\<>()\[\]]*:[^\s/\"'\\<>`]+@",
    "ado": r";\s?(?:[Pp]assword|[Pp]wd|PWD|AccountKey|SharedAccessKey)\s?=",
}
_ANY_TRIGGER = "|".join(_TRIGGERS.values())

# Rows are looked at in slices of at least this many bytes, one for each core.
_SLICE_BYTES = 4 * 2**20

# How much of a key block is looked at when its end is missing, in characters.
_KEY_BLOCK_CHARACTERS = 20_000

_KEY_BEGIN = re.compile(rf"{_PRIVATE_KEY_BEGIN}{_PEM_LABEL}")
_KEY_END = re.compile(rf"-----END {_PEM_LABEL}")
# An escape (left alone), or a run of base64; `\n` before base64 must not lose its n.
_KEY_BODY = re.compile(r"(\\+(?:u[0-9a-fA-F]{4}|[nrtbf\"'/])?)|([A-Za-z0-9+/=]{16,})")
_IN_ONE_STRING = re.compile(r"(?:[^\"\\]|\\.)*")

# What stands before a token that is one: nothing of a word, or an escape or colour code that ends in a letter.
_LEFT_EDGE = re.compile(r"(?:\\[nrtbf]|\\u[0-9a-fA-F]{4}|\[[0-9;]{0,8}m)\Z")

_PLACEHOLDER = re.compile(
    r"(?i)example|placeholder|redacted|your[-_a-z]|change[-_]?(?:me|this|it)|dummy|fake|xxx|\*\*\*|\.\.\.|"
    r"insert[-_]|replace[-_]|<|todo|password|passwd|secret[-_]?(?:key|here)|api[-_]?key|token[-_]here|not[-_]?set|"
    r"^(?:my|the|some|test|mock|sample|demo|none|null|nil|true|false|undefined|unset|empty|default|secret|pass|"
    r"user|admin|root|string|str|process|import|env|os|config|settings|self|this|new|await|async)(?:[-_.]|$)"
)
_WORD = re.compile(r"[A-Z]?[a-z]+[0-9]{0,2}|[A-Z]{2,}|[vV]?[0-9]{1,4}")
_DOTTED = re.compile(r"[A-Za-z_$][\w$]{0,30}(?:(?:\.|::|->|\?\.)[A-Za-z_$][\w$]{0,40})+;?")
_NUMBER_LIKE = re.compile(r"[0-9][0-9.:_TZ/+-]*[a-zA-Z]{0,2}")
_UUID_OR_HASH = re.compile(r"(?:[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|[0-9a-f]{40}|[0-9a-f]{64})")
_PATH = re.compile(r"(?:[~.$%@]{0,2}/|[A-Za-z]:[/\\]|[a-z][a-z0-9+.-]*://|file:|~)")
_TOOL_ID = re.compile(r"(?:toolu|msg|req|call|srvtoolu|chatcmpl|agent|session|run|evt|thread)_[A-Za-z0-9]+")

# Names that end in KEY and hold none.
_NO_SECRET_NAME = re.compile(
    r"(?:PUBLIC|PUBLISHABLE|PUBLISH|PRIMARY|FOREIGN|UNIQUE|CACHE|SORT|PARTITION|STORAGE|QUERY|IDEMPOTENCY|HOT|"
    r"INDEX|ROUTING|GROUP|SHARD|LOOKUP|MAP|DICT|OBJECT|COMPOSITE|SURROGATE|NATURAL|REGISTRY|CONFIG|SETTINGS?|"
    r"ENV|COLUMN|FIELD|HEADER|METADATA|MAX|MIN|NUM|COUNT|EVENT|STATE|FEATURE|FLAG|ANON)_"
    r"(?:KEY|TOKEN|PASS)|_?(?:MAX|NEXT|EOS|BOS|PAD|SEP|CLS|MASK|UNK)_TOKEN|(?:^|_)(?:BY|TWO|FIRST|ONE)_?PASS|NEXT_PUBLIC_"
)
_STRONG_NAME = re.compile(r"(?i)api|secret|token|pass|pwd|access|auth|private|encryp|sign|master|jwt|bot")


def redact_batch(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array | pa.ChunkedArray, dict[str, int]]:
    """`texts` (JSON, one document each; nulls stay) with every secret replaced, and how many of each kind.

    Args:
        texts: string or large_string.

    Returns: an array of the same type and length (of chunks, when chunks were given); kind -> number of
    replacements, kinds without any left out.
    """
    counts: dict[str, int] = {}
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


def _redact_array(texts: pa.Array, counts: dict[str, int]) -> pa.Array:
    """`texts` with every secret replaced."""
    hits = _hits(texts)
    positions = pc.indices_nonzero(hits)
    if not len(positions):
        return texts
    suspects = texts.take(positions)
    groups = {group: _match(suspects, trigger).to_pylist() for group, trigger in _TRIGGERS.items()}
    before = sum(counts.values())
    clean = [
        _redact(text, {group for group, matches in groups.items() if matches[row]}, counts)
        for row, text in enumerate(suspects.to_pylist())
    ]
    if sum(counts.values()) == before:
        return texts
    return pc.replace_with_mask(texts, hits, pa.array(clean, texts.type))


def _redact(text: str, groups: set[str], counts: dict[str, int]) -> str:
    """`text` with what the rules of `groups` find replaced."""
    if "private_key" in groups:
        text = _redact_key_blocks(text, counts)
    if groups & {"format", "ado"}:
        for kind, literal, pattern in _COMPILED:
            if literal in text:
                text = pattern.sub(_token_replacer(kind, counts), text)
    if "connection" in groups:
        text = _CONNECTION.sub(_connection_replacer(counts), text)
    if "ado" in groups:
        text = _ADO.sub(_value_replacer("connection_password", counts, 2, _is_given), text)
    if "authorization" in groups:
        text = _AUTHORIZATION.sub(_authorization_replacer(counts), text)
        text = _BEARER.sub(_value_replacer("authorization", counts, 2, _looks_random), text)
    if "assignment" in groups:
        text = _ASSIGNMENT.sub(_assignment_replacer(counts), text)
    if "flag" in groups:
        text = _FLAG.sub(_value_replacer("assigned_secret", counts, 4, _looks_random), text)
    return text


def _hits(texts: pa.Array) -> pa.Array:
    """Mask of the rows that may hold a secret."""
    workers = max(1, min(os.cpu_count() or 1, texts.nbytes // _SLICE_BYTES))
    if workers == 1:
        return _match(texts, _ANY_TRIGGER)
    size = -(-len(texts) // workers)
    slices = [texts.slice(start, size) for start in range(0, len(texts), size)]
    with ThreadPoolExecutor(max_workers=workers) as pool:
        return pa.concat_arrays(list(pool.map(lambda part: _match(part, _ANY_TRIGGER), slices)))


def _match(texts: pa.Array, pattern: str) -> pa.Array:
    return pc.fill_null(pc.match_substring_regex(texts, pattern), False)


def _mark(kind: str, counts: dict[str, int]) -> str:
    counts[kind] = counts.get(kind, 0) + 1
    return f"{MARK}{kind}]"


def _redact_key_blocks(text: str, counts: dict[str, int]) -> str:
    """Replace private key blocks: whole where they stand in one JSON string, else (a patch keeps each line as a
    string of its own; the end was cut off) every run of base64 after the first line."""
    parts, position = [], 0
    for begin in _KEY_BEGIN.finditer(text):
        if begin.start() < position:
            continue
        end = _KEY_END.search(text, begin.end(), begin.end() + _KEY_BLOCK_CHARACTERS)
        stop = end.start() if end else min(len(text), begin.end() + _KEY_BLOCK_CHARACTERS)
        in_string = _IN_ONE_STRING.match(text, begin.end(), stop).end()
        if not end:
            stop = in_string
        body = text[begin.end() : stop]
        if not any(match.group(2) for match in _KEY_BODY.finditer(body)):
            continue
        mark = _mark("private_key", counts)
        if end and in_string == stop:
            parts += [text[position : begin.start()], mark]
            position = end.end()
        else:
            pieces = _KEY_BODY.sub(lambda match, mark=mark: match.group(1) or mark, body)
            parts += [text[position : begin.end()], pieces]
            position = stop
    return "".join((*parts, text[position:])) if parts else text


def _token_replacer(kind: str, counts: dict[str, int]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        start = match.start()
        before = match.string[max(0, start - 10) : start]
        is_inside_word = bool(before) and (before[-1].isalnum() or before[-1] == "_")
        # `bot` stands before a Telegram token in the address of its API.
        is_telegram = kind == "telegram_bot_token" and before.endswith("bot")
        if is_inside_word and not is_telegram and not _LEFT_EDGE.search(before):
            return match.group()
        # `ghp_xxxxxxxx…` stands for a token.
        if len(set(match.group())) < 12 or (kind in _NEED_VARIETY and not any(map(str.isdigit, match.group()))):
            return match.group()
        return _mark(kind, counts)

    return replace


# Formats that words could make: `sk-` and many letters, `hf_…`.
_NEED_VARIETY = {"openai_key", "huggingface_token", "telegram_bot_token", "npm_token", "notion_token"}


def _value_replacer(
    kind: str, counts: dict[str, int], group: int, accept: Callable[[str], bool]
) -> Callable[[re.Match[str]], str]:
    """Replace one group of a match when `accept` says it is a secret."""

    def replace(match: re.Match[str]) -> str:
        value = match.group(group)
        if not accept(value):
            return match.group()
        whole, start = match.group(), match.start()
        return whole[: match.start(group) - start] + _mark(kind, counts) + whole[match.end(group) - start :]

    return replace


def _connection_replacer(counts: dict[str, int]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        before, password, after = match.groups()
        if not _is_given(password) or re.fullmatch(r"[0-9]{1,5}", password):
            return match.group()
        return before + _mark("connection_password", counts) + after

    return replace


def _authorization_replacer(counts: dict[str, int]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        scheme, value = match.group(2).lower(), match.group(3)
        is_secret = _is_credentials(value) if scheme == "basic" else _looks_secret(value, minimum=8)
        if not is_secret:
            return match.group()
        whole = match.group()
        return whole[: match.start(3) - match.start()] + _mark("authorization", counts)

    return replace


def _assignment_replacer(counts: dict[str, int]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        last, assign, quote, value = match.groups()
        name = _assigned_name(match)
        is_quoted = bool(quote.strip("\\"))
        # Punctuation that ends a sentence or a statement is none of the value's.
        secret = value if is_quoted else value.rstrip(".:!?&")
        if not name or not _is_assigned_secret(name, secret, is_quoted=is_quoted):
            return match.group()
        return last + assign + quote + _mark("assigned_secret", counts) + value[len(secret) :]

    return replace


def _assigned_name(match: re.Match[str]) -> str | None:
    """The name that `match`, an assignment found by its name's last word, assigns to; None if it is no such name."""
    last, start = match.group(1), match.start()
    before = match.string[max(0, start - 80) : start]
    if not last.isupper():
        word = _CODE_NAME.search(before[-20:] + last)
        return word.group() if word else None
    prefix = _CAPITALS_BEFORE.search(before).group()
    rest = before[: len(before) - len(prefix)]
    # `myKEY=` is no such name; `\nAPI_KEY=` is one. `MONKEY` and `COMPASS` are words, APIKEY is not.
    if rest and rest[-1].isalnum() and not _LEFT_EDGE.search(rest):
        return None
    if prefix:
        return prefix + last if prefix.endswith(("_", "API", "AUTH", "ACCESS", "SECRET", "DB", "CLIENT")) else None
    return last if last.startswith(("TOKEN", "SECRET", "PASSW", "PASSP")) else None


def _is_assigned_secret(name: str, value: str, *, is_quoted: bool) -> bool:
    """Whether `name = value` gives a secret away."""
    upper = name.upper()
    is_password = "PASS" in upper or "PWD" in upper
    if _NO_SECRET_NAME.search(upper):
        return False
    if not _STRONG_NAME.search(name) and _UUID_OR_HASH.fullmatch(value):
        return False
    if name.isupper():
        if is_password:
            return _looks_password(value)
        return _looks_secret(value, minimum=8)
    # Names in lower case are variables and arguments as well: only what cannot be one.
    if is_password:
        return is_quoted and len(value) >= 8 and _classes(value) >= 3 and _looks_password(value)
    return _looks_secret(value, minimum=16)


def _is_given(value: str) -> bool:
    """Whether a password is written out: no placeholder, variable or mark."""
    return not (
        value.startswith((MARK, "$", "{", "%s", "%(", "#{", ":"))
        or "${" in value
        or "{{" in value
        or re.fullmatch(r"(?i)p(?:ass(?:word|wd)?|wd|w|ss)|secret|\*+|x+|\.+|…", value)
        or _PLACEHOLDER.search(value)
    )


def _classes(value: str) -> int:
    return sum(
        (
            any(c.islower() for c in value),
            any(c.isupper() for c in value),
            any(c.isdigit() for c in value),
            any(not c.isalnum() for c in value),
        )
    )


def _looks_password(value: str) -> bool:
    """Whether a value assigned to a password's name is one: anything written out that is not a word."""
    return not (
        len(value) < 6
        or not _is_given(value)
        or _is_path(value)
        or _DOTTED.fullmatch(value)
        or _NUMBER_LIKE.fullmatch(value)
        or len(set(value)) < 4
        or _classes(value) < 2
        or re.fullmatch(r"[A-Z][A-Z0-9_]+|[a-z]+(?:[A-Z][a-z]+)*|[a-z]+(?:_[a-z]+)*|[A-Za-z]+(?:-[a-z]+)*", value)
    )


def _looks_secret(value: str, *, minimum: int) -> bool:
    """Whether a value is a secret rather than code, a word, a path, a number or a placeholder."""
    if (
        len(value) < minimum
        or value.startswith((MARK, "$", "%", "@", "&", "#"))
        or len(set(value)) < 6
        or _PLACEHOLDER.search(value)
        or _is_path(value)
        or _DOTTED.fullmatch(value)
        or _NUMBER_LIKE.fullmatch(value)
        or _is_words(value)
        or _TOOL_ID.fullmatch(value)
        or "://" in value
        or re.fullmatch(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+", value)
    ):
        return False
    if any(c.isdigit() for c in value) and any(c.isalpha() for c in value):
        # user2Token, getV2Key, path/to/file2.txt: words with a digit.
        letters_and_digits = re.findall(r"[0-9]+", value)
        is_words = len(letters_and_digits) == 1 and (_is_camel_case(re.sub(r"[0-9]+", "", value)) or "/" in value)
        return not is_words
    return _is_mixed(value)


def _is_words(value: str) -> bool:
    """Two or more words or short numbers, joined: cache-key-v2."""
    parts = re.split(r"[-_.:/]", value)
    return len(parts) > 1 and all(_WORD.fullmatch(part) for part in parts)


def _is_path(value: str) -> bool:
    """A file or an address. Base64 can begin with a slash too: then a part of it is no name."""
    return bool(_PATH.match(value)) and not any(
        len(part) >= 10 and _classes(part) >= 3 for part in re.split(r"[/._-]", value)
    )


def _is_camel_case(value: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z]?[a-z]+(?:[A-Z][a-z]{2,})*[_-]*", value))


def _is_mixed(value: str) -> bool:
    """Letters only: upper and lower case change as often as by chance, or it is too long for a name."""
    letters = [c for c in value if c.isalpha()]
    if len(letters) < 16:
        return False
    changes = sum(a.isupper() != b.isupper() for a, b in itertools.pairwise(letters))
    return changes / len(letters) > 0.3


def _looks_random(value: str) -> bool:
    """Whether a value with nothing around it that says so is a token."""
    return _looks_secret(value, minimum=12) and _classes(value) >= 2 and len(set(value)) >= 8


def _is_credentials(value: str) -> bool:
    """Whether a value is base64 of `user:password`."""
    try:
        return b":" in base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (ValueError, binascii.Error):
        return False


_COMPILED = [(kind, literal, re.compile(pattern)) for kind, literal, pattern in _FORMATS]
_COMPILED.append(
    (
        "azure_storage_key",
        "AccountKey=",
        re.compile(r"(?<=AccountKey=)[A-Za-z0-9+/]{60,}={0,2}"),
    )
)
