"""Secrets by what stands around them: a name they are assigned to, a header, an address, an option of a command.

A rule has a trigger, which a text must match for the rule to be worth its time (RE2, the triggers of all rules searched
in all texts at once), and a function that replaces what it finds (Python, on the few texts that matched).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from analytics.privacy import encoded, keys
from analytics.privacy.formats import COMPILED, FORMAT_TRIGGER
from analytics.privacy.values import (
    Counts,
    is_assigned_secret,
    is_credentials,
    is_given,
    looks_password,
    looks_random,
    looks_secret,
    mark,
)


@dataclass(frozen=True)
class Rule:
    """One kind of surroundings.

    Attributes:
        trigger: what a text with such a secret matches (RE2).
        apply: (text, counts) -> the text with secrets replaced, counted by kind.
        words: one of them stands in every such text, if that is said more quickly than by the trigger.
    """

    trigger: str
    apply: Callable[[str, Counts], str]
    words: tuple[str, ...] = ()


# What stands before a token that is one: nothing of a word, or an escape or colour code that ends in a letter.
_LEFT_EDGE = re.compile(r"(?:\\[nrtbf]|\\u[0-9a-fA-F]{4}|\[[0-9;]{0,8}m)\Z")
# Formats that words could make: `sk-` and many letters, `hf_…`.
_NEED_VARIETY = {"openai_key", "huggingface_token", "telegram_bot_token", "npm_token", "notion_token", "discord_token"}

_DISCORD_END = re.compile(r"\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27}")


def _formats(text: str, counts: Counts) -> str:
    for kind, literal, pattern in COMPILED:
        # a dot stands everywhere, what a bot's token ends in does not
        if literal in text and (literal != "." or _DISCORD_END.search(text)):
            text = pattern.sub(_token_replacer(kind, counts), text)
    return text


def _token_replacer(kind: str, counts: Counts) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        start = match.start()
        before = match.string[max(0, start - 10) : start]
        # two of them divide the names of a tool: mcp__server__tool
        is_inside_word = before[-1:].isalnum() or (before[-1:] == "_" and before[-2:] != "__")
        # `bot` stands before a Telegram token in the address of its API.
        is_telegram = kind == "telegram_bot_token" and before.endswith("bot")
        if is_inside_word and not is_telegram and not _LEFT_EDGE.search(before):
            return match.group()
        # `ghp_xxxxxxxx…` stands for a token.
        if len(set(match.group())) < 12 or (kind in _NEED_VARIETY and not any(map(str.isdigit, match.group()))):
            return match.group()
        return mark(kind, counts)

    return replace


def _value_rule(
    trigger: str, words: tuple[str, ...], pattern: str, kind: str, group: int, accept: Callable[[str], bool]
) -> Rule:
    """Replaces one group of `pattern` where `accept` says that it is a secret."""
    compiled = re.compile(pattern)

    def apply(text: str, counts: Counts) -> str:
        def replace(match: re.Match[str]) -> str:
            if not accept(match[group]):
                return match.group()
            whole, start = match.group(), match.start()
            return whole[: match.start(group) - start] + mark(kind, counts) + whole[match.end(group) - start :]

        return compiled.sub(replace, text)

    return Rule(trigger, apply, words)


# Assignments. A name in capitals that says secret, an assignment, a value; quotes may be escaped any number of times.
_QUOTES = r"""\\*["'`]?"""
_ASSIGN = rf"{_QUOTES}\s{{0,4}}(?:=>|:=|[=:])\s{{0,4}}(?:\\+[nt])?\s{{0,4}}"
_VALUE = r"[^\s\"'`\\,;<>(){}\[\]|]"
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
    r"([KTSPktsp](?:EY|OKEN|ECRET|ASS(?:WORD|WD|PHRASE)?|WD|ey|oken|ecret|ass(?:word|wd|phrase)?|wd)"
    rf"(?:{_ENV_SUFFIX})?)({_ASSIGN})({_QUOTES})({_VALUE}{{6,512}})"
)
_CAPITALS_BEFORE = re.compile(r"[A-Z0-9_]{0,80}\Z")
_CODE_NAME = re.compile(rf"(?:{_CODE_WORD})\Z", re.IGNORECASE)
_CAPITAL_PREFIXES = ("_", "API", "AUTH", "ACCESS", "SECRET", "DB", "CLIENT", "PG")
_ENV_TRIGGER = (
    r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD)(?:_[A-Z_]{1,12})?[0-9]{0,2}"
    rf"""\\*["'`]?\s*(?:=>|:=|[=:])\s*(?:\\+[nt])?\s*{_QUOTES}[^\s"'`\\,;<>(){{}}\[\]|$]"""
)
# Properties and YAML: nothing but the name, dotted or not, before it on its line, nothing but a comment after it.
_LINE_BEFORE = re.compile(r"(?:\A|\n|\\[nr]|[\"→])[ \t+>#-]{0,100}(?:export |set )?[A-Za-z0-9_.-]{0,100}\Z")
_LINE_AFTER = re.compile(r"[ \t]*(?:\Z|[\r\n\"\\]|#)")


def _assignments(text: str, counts: Counts) -> str:
    def replace(match: re.Match[str]) -> str:
        last, assign, quote, value = match.groups()
        is_quoted = bool(quote.strip("\\"))
        # Punctuation that ends a sentence or a statement is none of the value's.
        secret = value if is_quoted else value.rstrip(".:!?&")
        name = _assigned_name(match)
        if not (name and is_assigned_secret(name, secret, is_quoted=is_quoted)):
            if is_quoted or not _is_setting_line(match):
                return match.group()
            secret = value
        return last + assign + quote + mark("assigned_secret", counts) + value[len(secret) :]

    return _ASSIGNMENT.sub(replace, text)


def _assigned_name(match: re.Match[str]) -> str | None:
    """The name that `match`, an assignment found by its name's last word, assigns to; None if it is no such name."""
    last, start = match.group(1), match.start()
    before = match.string[max(0, start - 80) : start]
    if not last.isupper():
        word = _CODE_NAME.search(before[-20:] + last)
        return word.group() if word else None
    capitals = _CAPITALS_BEFORE.search(before)
    prefix = capitals.group() if capitals else ""
    rest = before[: len(before) - len(prefix)]
    # `myKEY=` is no such name; `\nAPI_KEY=` is one. `MONKEY` and `COMPASS` are words, APIKEY is not.
    if rest and rest[-1].isalnum() and not _LEFT_EDGE.search(rest):
        return None
    if prefix:
        return prefix + last if prefix.endswith(_CAPITAL_PREFIXES) else None
    return last if last.startswith(("TOKEN", "SECRET", "PASSW", "PASSP")) else None


def _is_setting_line(match: re.Match[str]) -> bool:
    """Whether a password in small letters is a line of settings: `spring.datasource.password=…`, `db_password: …`."""
    last, start = match.group(1), match.start()
    before = match.string[max(0, start - 100) : start]
    return (
        last.lower() in ("password", "passwd", "passphrase", "pass", "pwd")
        and not (last in ("pass", "pwd") and before[-1:].isalpha())
        and any(map(str.isdigit, match.group(4)))
        and looks_password(match.group(4))
        and bool(_LINE_BEFORE.search(before))
        and bool(_LINE_AFTER.match(match.string, match.end()))
    )


# Headers
_AUTHORIZATION = re.compile(
    rf"([Aa](?:uthorization|UTHORIZATION){_ASSIGN}\\*[\"'`]?\s?"
    r"([Bb]asic|BASIC|[Bb]earer|BEARER|[Tt]oken|[Aa]pi[Kk]ey)\s+)([A-Za-z0-9._~+/=:-]{8,})"
)
_BEARER = re.compile(r"([Bb](?:earer|EARER)) ([A-Za-z0-9._~+/=-]{16,})")
_COOKIES = re.compile(rf"([Cc](?:ookie2?|OOKIE){_QUOTES}\s?:\s?{_QUOTES})([^\"\\\r\n]{{8,8000}})")
_COOKIE = re.compile(r"((?:\A|[;,]\s?|\s)[A-Za-z0-9_.!$%&*^|~-]{1,80}=)([A-Za-z0-9._~+/=%:|-]{12,4096})")


def _headers(text: str, counts: Counts) -> str:
    def authorization(match: re.Match[str]) -> str:
        scheme, value = match[2].lower(), match[3]
        if not (is_credentials(value) if scheme == "basic" else looks_secret(value, minimum=8)):
            return match.group()
        return match[1] + mark("authorization", counts)

    def bearer(match: re.Match[str]) -> str:
        return f"{match[1]} {mark('authorization', counts)}" if looks_random(match[2]) else match.group()

    return _BEARER.sub(bearer, _AUTHORIZATION.sub(authorization, text))


def _cookies(text: str, counts: Counts) -> str:
    def cookie(match: re.Match[str]) -> str:
        return match[1] + mark("cookie", counts) if looks_random(match[2]) else match.group()

    return _COOKIES.sub(lambda header: header[1] + _COOKIE.sub(cookie, header[2]), text)


# Addresses. A user may be empty (redis://:password@host); the password ends at the last @ before the path.
def _is_password_of_address(value: str) -> bool:
    return is_given(value) and not re.fullmatch(r"[0-9]{1,5}", value)


# Commands: an option that takes a password, on the same line as the command's name.
_SAME_LINE = r"[^\n\\|;&]{0,300}?"
_SHELL_VALUE = r"[^\s\"'`\\,;<>(){}|&]"
_CURL = re.compile(
    rf"((?:curl|https?|wget)\s{_SAME_LINE}(?<=\s)(?:-[a-zA-Z]*u|-U|--user|--proxy-user|-a|--auth)[ =]?"
    r"\\*[\"']?[^\s:\"'\\]{1,64}:)"
    rf"({_SHELL_VALUE}{{3,256}})"
)
_DATABASE_CLIENT = re.compile(
    rf"((?:mysql|mariadb)[a-z-]{{0,12}}\s{_SAME_LINE}(?<=\s)(?:-p|--password=)\\*[\"']?)({_SHELL_VALUE}{{4,256}})"
)
_SSHPASS = re.compile(rf"(\bsshpass\s+(?:-[a-oq-z]+\s+)*-p\s?\\*[\"']?)({_SHELL_VALUE}{{3,256}})")
_REDIS = re.compile(rf"(\bredis-cli\s{_SAME_LINE}(?<=\s)(?:-a|--pass)\s\\*[\"']?)({_SHELL_VALUE}{{4,256}})")


_COMMANDS = (
    (("curl ", "http ", "https ", "wget "), _CURL),
    (("mysql", "mariadb"), _DATABASE_CLIENT),
    (("sshpass ",), _SSHPASS),
    (("redis-cli ",), _REDIS),
)


def _commands(text: str, counts: Counts) -> str:
    def replace(match: re.Match[str]) -> str:
        value = match[2]
        if not _is_password_of_address(value) or len(set(value)) < 3:
            return match.group()
        return match[1] + mark("command_password", counts)

    for words, pattern in _COMMANDS:
        if any(word in text for word in words):
            text = pattern.sub(replace, text)
    return text


_SPACE = r"(?:\s|\\+[nrt]|\\*\",\s?\\*\"[+ -])+"  # or the next line of a patch
_SIGNED = r"sig|[Ss]ignature|X-Amz-Signature|X-Amz-Security-Token|X-Goog-Signature"


def _is_signature(value: str) -> bool:
    return len(set(value)) >= 8 and any(map(str.isdigit, value)) and is_given(value)


RULES: tuple[Rule, ...] = (
    Rule(r"PRIVATE KEY(?: BLOCK)?-----", keys.redact_key_blocks, ("PRIVATE KEY",)),
    Rule(r"Private-Lines: ?[0-9]", keys.redact_putty, ("Private-Lines",)),
    Rule(
        r"(?:PrivateKey|PresharedKey)\s{0,3}=\s{0,3}[A-Za-z0-9+/]{8}",
        keys.redact_wireguard,
        ("PrivateKey", "PresharedKey"),
    ),
    Rule(FORMAT_TRIGGER, _formats),
    Rule(encoded.TRIGGER, encoded.redact_encoded),
    _value_rule(
        r"AccountKey=",
        ("AccountKey=",),
        r"(AccountKey=)([A-Za-z0-9+/]{60,}={0,2})",
        "azure_storage_key",
        2,
        lambda value: True,
    ),
    _value_rule(
        r"://[^\s:@/\"'\\<>()\[\]]*:[^\s/\"'\\<>`]+@",
        ("://",),
        r"(://[^\s:@/\"'\\<>()\[\]]{0,128}:)([^\s/\"'\\<>`]{1,256})(@(?=[A-Za-z0-9\[$]))",
        "connection_password",
        2,
        _is_password_of_address,
    ),
    _value_rule(
        r"://[A-Za-z0-9_%~.+-]{8}[A-Za-z0-9_%~.+-]*@",
        ("://",),
        r"(://)([A-Za-z0-9_%~.+-]{16,256})(@[A-Za-z0-9])",
        "connection_password",
        2,
        looks_random,
    ),
    _value_rule(
        r";\s?(?:[Pp]assword|[Pp]wd|PWD|AccountKey|SharedAccessKey)\s?=",
        ("assword", "wd", "PWD", "Key"),
        r"(;\s?(?:Password|Pwd|PWD|password|pwd|AccountKey|SharedAccessKey)\s?=\s?)([^;\s\"'\\<>]{4,256})",
        "connection_password",
        2,
        is_given,
    ),
    Rule(
        r"(?i:authorization)\\*[\"'`]?\s*[=:]|(?:[Bb]earer|BEARER) [A-Za-z0-9._~+/=-]{16}",
        _headers,
        ("uthorization", "UTHORIZATION", "earer ", "BEARER "),
    ),
    Rule(
        r"(?:[Cc]ookie2?|COOKIE)\\*[\"'`]?\s?:\s?\\*[\"'`]?[^\s\"'\\;={}(]+=",
        _cookies,
        ("ookie", "OOKIE"),
    ),
    Rule(
        rf"{_ENV_TRIGGER}|(?i:{_CODE_WORD}){_ASSIGN}{_QUOTES}{_VALUE}{{6}}|[._-](?:pass|pwd)\s?[:=]\s?{_VALUE}{{6}}",
        _assignments,
    ),
    _value_rule(
        r"--(?:[a-z]+-)?(?:api-key|token|password|secret|passphrase)[ =]",
        ("--",),
        rf"(--(?:[a-z]+-)?(?:api-key|token|password|secret|passphrase))([ =])(\\*[\"'])?({_VALUE}{{8,512}})",
        "assigned_secret",
        4,
        looks_random,
    ),
    Rule(
        r"(?:curl|https?|wget) [^\n]*:|(?:mysql|mariadb)[a-z-]* [^\n]*-p|sshpass |redis-cli ",
        _commands,
        tuple(word for words, _ in _COMMANDS for word in words),
    ),
    _value_rule(
        r"_auth\s?=|\"auth\\*\"\s?:",
        ("_auth", 'auth"', "auth\\"),
        r"((?:_auth\s?=\s?|\"auth\\*\"\s{0,2}:\s{0,2}\\*\"))([A-Za-z0-9+/]{8,1024}={0,2})",
        "authorization",
        2,
        is_credentials,
    ),
    _value_rule(
        rf"login{_SPACE}[^\s\"\\]+{_SPACE}password[\s\\\"]",
        ("login",),
        rf"(login{_SPACE}[^\s\"\\]{{1,128}}{_SPACE}password{_SPACE})([^\s\"\\\[]{{4,256}})",
        "netrc_password",
        2,
        lambda value: is_given(value) and len(set(value)) > 3,
    ),
    _value_rule(
        rf"[?&;](?:{_SIGNED})=[A-Za-z0-9%+/_-]{{8}}",
        ("ig=", "ignature=", "X-Amz-Security-Token="),
        rf"([?&;](?:{_SIGNED})=)([A-Za-z0-9%+/_.~=-]{{20,4096}})",
        "signed_url",
        2,
        _is_signature,
    ),
    _value_rule(
        r"otpauth://",
        ("otpauth://",),
        r"(otpauth://[^\s\"'\\<>]{0,300}?[?&]secret=)([A-Za-z2-7]{8,256}=*)",
        "otp_secret",
        2,
        lambda value: len(set(value)) > 5,
    ),
)
