"""Secrets out of documents before they are stored.

High-confidence secrets only: formats that vendors document, private key blocks, JSON Web Tokens, passwords in
connection strings, Authorization headers and assignments to names that say what they hold. What is replaced becomes
`[REDACTED:<kind>]`. Ordinary text (hashes, uuids, ids, base64 images) is left alone: an unsure rule does nothing.

A batch is searched once by one automaton (RE2, about 700 MB/s on one core); only the documents it stops at, about one
in a hundred, are looked at rule by rule.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

# Cheap signs of a secret, in RE2's syntax. Everything a rule below finds must contain one of them.
_SIGNS = "|".join(
    [
        r"sk-[A-Za-z0-9]",
        r"[sr]k_live_",
        r"A(?:KIA|SIA)[0-9A-Z]",
        r"gh[pousr]_",
        r"github_pat_",
        r"glpat-",
        r"xox[abeprs]-",
        r"hooks\.slack\.com/services/",
        r"AIza",
        r"ya29\.",
        r"npm_",
        r"pypi-AgE",
        r"hf_",
        r"SG\.",
        r"dop_v1_",
        r"PRIVATE KEY",
        r"eyJ[A-Za-z0-9_-]{10,}\.eyJ",
        r"[a-z]://[^/\s:@\"]*:[^/\s@\"]+@",
        r"[Aa]uthorization|AUTHORIZATION|[Bb]earer ",
        r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD)[A-Z_0-9]*[\"\\]*\s*[=:]",
        r"AccountKey=",
        r"[0-9]:AA[A-Za-z0-9_-]{30}",
    ]
)

# Inside JSON text a quote may be \" and a line break \n: what ends a value, and what a value is made of.
_VALUE = r"[^\s\"'\\,;&|<>(){}\[\]$`]"


@dataclass(frozen=True)
class _Rule:
    kind: str
    pattern: re.Pattern[str]  # the group `secret` is replaced, or the whole match


def _rule(kind: str, pattern: str, flags: int = 0) -> _Rule:
    return _Rule(kind, re.compile(pattern, flags))


# The first rule that matches a text names its kind; more specific ones come first.
_RULES = [
    _rule(
        "private_key",
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?P<secret>[^\"]{20,}?)(?=-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\")",
    ),
    _rule("anthropic_key", r"\bsk-ant-[A-Za-z0-9_-]{20,}"),
    _rule("openai_key", r"\bsk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})(?![A-Za-z0-9_-])"),
    _rule("stripe_key", r"\b[sr]k_live_[A-Za-z0-9]{16,}"),
    _rule("aws_access_key_id", r"(?<![A-Za-z0-9+/=_-])A(?:KIA|SIA)[A-Z2-7]{16}(?![A-Za-z0-9+/=_-])"),
    _rule("github_token", r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9]{20,}_[A-Za-z0-9]{40,})"),
    _rule("gitlab_token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
    _rule("slack_token", r"\bxox[abeprs]-[A-Za-z0-9-]{10,}"),
    _rule("slack_webhook", r"hooks\.slack\.com/services/(?P<secret>T[A-Za-z0-9]+/B[A-Za-z0-9]+/[A-Za-z0-9]{20,})"),
    _rule("google_api_key", r"(?<![A-Za-z0-9+/=_-])AIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9+/=_-])"),
    _rule("google_oauth_token", r"\bya29\.[A-Za-z0-9_-]{30,}"),
    _rule("npm_token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    _rule("pypi_token", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
    _rule("huggingface_token", r"\bhf_[A-Za-z0-9]{34,}\b"),
    _rule("sendgrid_key", r"\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"),
    _rule("digitalocean_token", r"\bdop_v1_[a-f0-9]{64}\b"),
    _rule("telegram_token", r"(?<![A-Za-z0-9])[0-9]{8,10}:AA[A-Za-z0-9_-]{33}(?![A-Za-z0-9_-])"),
    _rule("azure_storage_key", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{60,}={0,2})"),
    _rule("jwt", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
    _rule("url_password", r"\b[a-z][a-z0-9+.-]*://[^/\s:@\"'\\<>]*:(?P<secret>[^/\s@\"'\\<>$`]{3,})@(?=[A-Za-z0-9\[])"),
    _rule(
        "authorization_header",
        r"(?:\b(?:proxy-)?authorization(?:\\?[\"'])?\s*[:=]\s*(?:\\?[\"'])?\s*(?:bearer|basic|token)\s+"
        r"|\bbearer\s+(?=[A-Za-z0-9._~+/-]*[0-9])(?=[A-Za-z0-9._~+/-]{24,}))(?P<secret>[A-Za-z0-9._~+/=-]{8,})",
        re.IGNORECASE,
    ),
    _rule(
        "assigned_secret",
        r"(?<![A-Za-z0-9])[A-Z][A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD)(?:_[A-Z0-9]+)?"
        rf"(?:\\?[\"'])?\s*[=:]\s*(?:\\?[\"'])?(?P<secret>{_VALUE}{{8,}})",
    ),
]

# Values that look like a placeholder, a reference or code: nothing to hide.
_PLACEHOLDER = re.compile(
    r"(?i)^\[?redacted|^x{3,}|\*{3}|\.{3}|…|^(?:your|my|the|some|changeme|change-me|example|sample|dummy|fake|test|placeholder"
    r"|todo|none|null|true|false|undefined|process|os|env|import|secrets|config|settings|self|this|string|str|bytes)\b"
    r"|(?:your|example|placeholder|changeme)[-_]|^(?:password|passwd|secret|token|apikey|api_key|user|username|pass|pwd)$"
    r"|^[A-Za-z_][A-Za-z0-9_]*[.:]{1,2}[A-Za-z_][A-Za-z0-9_.:]*$|^%|^<|^/(?:[a-z]+/)"
)


def _is_secret(kind: str, value: str) -> bool:
    """Whether a value found by its surroundings, not by its own format, is one to hide."""
    if kind == "url_password":
        return not _PLACEHOLDER.search(value)
    if kind == "authorization_header":
        return not _PLACEHOLDER.search(value) and any(c.isdigit() or c == "=" for c in value)
    if kind == "assigned_secret":
        # a name, a number or a word is code; a secret mixes
        mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
        return mixed and not _PLACEHOLDER.search(value) and not re.fullmatch(r"\d+[smhd]?|0x[0-9a-f]{1,8}", value)
    return True


def redact_text(text: str) -> tuple[str, Counter[str]]:
    """`text` with its secrets replaced, and how many of each kind; the text may be JSON and stays valid JSON."""
    counts: Counter[str] = Counter()
    for rule in _RULES:

        def replace(match: re.Match[str], kind: str = rule.kind) -> str:
            whole = match.group()
            secret = match.group("secret") if "secret" in match.re.groupindex else whole
            if secret.startswith("[REDACTED:") or not _is_secret(kind, secret):
                return whole
            counts[kind] += 1
            start = whole.rindex(secret)
            return f"{whole[:start]}[REDACTED:{kind}]{whole[start + len(secret) :]}"

        text = rule.pattern.sub(replace, text)
    return text, counts


def redact_batch(texts: pa.Array) -> tuple[pa.Array, dict[str, int]]:
    """JSON texts with their secrets replaced.

    Args:
        texts: string array; nulls stay null.

    Returns:
        An array of the same length and type, and the number of replacements by kind. Redacting twice changes nothing.
    """
    suspicious = pc.fill_null(pc.match_substring_regex(texts, _SIGNS), False)
    rows = pc.indices_nonzero(suspicious)
    if not len(rows):
        return texts, {}
    counts: Counter[str] = Counter()
    replaced: list[str] = []
    for text in texts.take(rows).to_pylist():
        clean, found = redact_text(text)
        counts += found
        replaced.append(clean)
    if not counts:
        return texts, {}
    return pc.replace_with_mask(texts, suspicious, pa.array(replaced, texts.type)), dict(counts)
