"""Redaction. What would silently go missing without these: a secret that stays in the store, a document that is
no JSON any more, and ordinary text (hashes, ids, images) that is changed. No secret stands here: all are made up
at run time, from parts."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from analytics.privacy.redact import MARK, redact_batch, redact_text

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALNUM = LOWER + UPPER + DIGITS
WEB = ALNUM + "-_"
HEX = DIGITS + "abcdef"
BASE64 = ALNUM + "+/"


class Maker:
    """Random secrets, the same every time."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def any(self, alphabet: str, length: int) -> str:
        return "".join(self.rng.choices(alphabet, k=length))

    def base64(self, size: int) -> str:
        return base64.b64encode(self.rng.randbytes(size)).decode()

    def base64url(self, text: str) -> str:
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


# kind -> how to make one; what is written apart here must not be found by other people's scanners
FORMATS: dict[str, list[Callable[[Maker], str]]] = {
    "anthropic_key": [
        lambda m: "sk-" + "ant-api03-" + m.any(WEB, 93) + "AA",
        lambda m: "sk-" + "ant-oat01-" + m.any(WEB, 93) + "AA",
        lambda m: "sk-" + "ant-admin01-" + m.any(WEB, 93) + "AA",
    ],
    "openai_key": [
        lambda m: "sk-" + m.any(ALNUM, 20) + "T3Blbk" + "FJ" + m.any(ALNUM, 20),
        lambda m: "sk-" + "proj-" + m.any(WEB, 74) + "T3Blbk" + "FJ" + m.any(WEB, 74),
        lambda m: "sk-" + "svcacct-" + m.any(WEB, 100),
    ],
    "openrouter_key": [lambda m: "sk-" + "or-v1-" + m.any(HEX, 64)],
    "aws_access_key_id": [
        lambda m: "AK" + "IA" + m.any(UPPER + "234567", 16),
        lambda m: "AS" + "IA" + m.any(UPPER + "234567", 16),
    ],
    "github_token": [
        *(lambda m, p=p: "gh" + p + "_" + m.any(ALNUM, 36) for p in "pousr"),
        lambda m: "github_" + "pat_" + m.any(ALNUM, 22) + "_" + m.any(ALNUM, 59),
    ],
    "gitlab_token": [
        lambda m: "gl" + "pat-" + m.any(WEB, 20),
        lambda m: "gl" + "dt-" + m.any(WEB, 20),
        lambda m: "gl" + "pat-" + m.any(WEB, 27) + ".01." + m.any(LOWER + DIGITS, 9),
    ],
    "slack_token": [
        lambda m: "xo" + "xb-" + m.any(DIGITS, 12) + "-" + m.any(DIGITS, 13) + "-" + m.any(ALNUM, 24),
        lambda m: "xo" + "xp-" + m.any(DIGITS, 12) + "-" + m.any(DIGITS, 12) + "-" + m.any(HEX, 32),
        lambda m: "xa" + "pp-1-" + m.any(UPPER + DIGITS, 11) + "-" + m.any(DIGITS, 13) + "-" + m.any(HEX, 64),
    ],
    "slack_webhook": [
        lambda m: (
            "https://hooks.slack"
            + ".com/services/T"
            + m.any(UPPER + DIGITS, 10)
            + "/B"
            + m.any(UPPER + DIGITS, 10)
            + "/"
            + m.any(ALNUM, 24)
        )
    ],
    "discord_webhook": [lambda m: "https://discord" + ".com/api/webhooks/" + m.any(DIGITS, 18) + "/" + m.any(WEB, 68)],
    "stripe_key": [
        lambda m: "sk" + "_live_" + m.any(ALNUM, 24),
        lambda m: "rk" + "_live_" + m.any(ALNUM, 99),
        lambda m: "sk" + "_test_" + m.any(ALNUM, 24),
        lambda m: "wh" + "sec_" + m.any(ALNUM, 32),
    ],
    "google_api_key": [lambda m: "AI" + "za" + m.any(WEB, 34) + m.any(ALNUM, 1)],
    "google_oauth_token": [
        lambda m: "GOC" + "SPX-" + m.any(WEB, 28),
        lambda m: "ya" + "29." + m.any(WEB, 120),
    ],
    "npm_token": [lambda m: "np" + "m_" + m.any(ALNUM, 36)],
    "pypi_token": [lambda m: "py" + "pi-AgEIcHlwaS5vcmc" + m.any(WEB, 150)],
    "huggingface_token": [lambda m: "h" + "f_" + m.any(ALNUM, 34)],
    "sendgrid_key": [lambda m: "S" + "G." + m.any(WEB, 22) + "." + m.any(WEB, 43)],
    "twilio_key": [lambda m: "S" + "K" + m.any(HEX, 32)],
    "telegram_bot_token": [lambda m: m.any("123456789", 10) + ":AA" + m.any(WEB, 32) + m.any(ALNUM, 1)],
    "azure_client_secret": [lambda m: m.any(ALNUM, 3) + "8Q" + "~" + m.any(ALNUM, 34)],
    "digitalocean_token": [lambda m: "do" + "p_v1_" + m.any(HEX, 64)],
    "databricks_token": [lambda m: "da" + "pi" + m.any(HEX, 32)],
    "shopify_token": [lambda m: "sh" + "pat_" + m.any(HEX, 32)],
    "mailgun_key": [lambda m: "ke" + "y-" + m.any(HEX, 32)],
    "mailchimp_key": [lambda m: m.any(HEX, 32) + "-u" + "s12"],
    "square_token": [lambda m: "sq" + "0atp-" + m.any(WEB, 22)],
    "linear_key": [lambda m: "lin_" + "api_" + m.any(ALNUM, 40)],
    "notion_token": [lambda m: "nt" + "n_" + m.any(ALNUM, 46), lambda m: "sec" + "ret_" + m.any(ALNUM, 43)],
    "postman_key": [lambda m: "PM" + "AK-" + m.any(HEX, 24) + "-" + m.any(HEX, 34)],
    "grafana_token": [lambda m: "gl" + "sa_" + m.any(ALNUM, 32) + "_" + m.any(HEX, 8)],
    "sentry_token": [lambda m: "sntr" + "yu_" + m.any(HEX, 64)],
    "doppler_token": [lambda m: "dp" + ".pt." + m.any(ALNUM, 43)],
    "vault_token": [lambda m: "hv" + "s." + m.any(WEB, 24) + m.any(ALNUM, 70)],
    "terraform_token": [lambda m: m.any(ALNUM, 14) + ".atlas" + "v1." + m.any(WEB, 67)],
    "age_key": [lambda m: "AGE-SECRET" + "-KEY-1" + m.any(UPPER + DIGITS, 58)],
    "groq_key": [lambda m: "gs" + "k_" + m.any(ALNUM, 52)],
    "xai_key": [lambda m: "xa" + "i-" + m.any(ALNUM, 80)],
    "replicate_token": [lambda m: "r" + "8_" + m.any(ALNUM, 37)],
    "perplexity_key": [lambda m: "pp" + "lx-" + m.any(ALNUM, 48)],
    "supabase_key": [lambda m: "sb" + "p_" + m.any(HEX, 40), lambda m: "sb_" + "secret_" + m.any(WEB, 31)],
    "netlify_token": [lambda m: "nf" + "p_" + m.any(ALNUM, 36)],
    "planetscale_token": [lambda m: "psc" + "ale_tkn_" + m.any(WEB, 43)],
    "docker_token": [lambda m: "dck" + "r_pat_" + m.any(WEB, 27)],
    "atlassian_token": [lambda m: "ATAT" + "T3xFfGF0" + m.any(WEB, 170) + "=" + m.any(HEX, 8).upper()],
    "figma_token": [lambda m: "fi" + "gd_" + m.any(WEB, 40)],
    "airtable_token": [lambda m: "pa" + "t" + m.any(ALNUM, 14) + "." + m.any(HEX, 64)],
    "newrelic_key": [lambda m: "NR" + "AK-" + m.any(UPPER + DIGITS, 27)],
    "rubygems_key": [lambda m: "ruby" + "gems_" + m.any(HEX, 48)],
    "tailscale_key": [lambda m: "tsk" + "ey-auth-" + m.any(ALNUM, 17) + "-" + m.any(ALNUM, 32)],
    "langsmith_key": [lambda m: "lsv" + "2_pt_" + m.any(HEX, 32) + "_" + m.any(HEX, 10)],
    "alibaba_key_id": [lambda m: "LT" + "AI" + m.any(ALNUM, 20)],
    "discord_token": [
        lambda m: m.any("MN", 1) + m.any(ALNUM, 23) + "." + m.any(ALNUM, 6) + "." + m.any(WEB, 27),
        lambda m: "MT" + m.any(ALNUM, 24) + ".G" + m.any(ALNUM, 5) + "." + m.any(WEB, 38),
    ],
    "jwt": [
        lambda m: ".".join(
            (
                m.base64url('{"alg":"HS256","typ":"JWT"}'),
                m.base64url(f'{{"sub":"{m.any(DIGITS, 10)}","iat":1700000000}}'),
                m.any(WEB, 43),
            )
        )
    ],
}

# A line of text around a token, as it stands in prompts, command output, files and settings.
AROUND = (
    "{}",
    "use {} for this",
    "key={}",
    '{{"key": "{}"}}',
    "first line\n{}\nlast line",
    "\t{}\r\n",
    "'{}',",
    "curl -H 'X-Thing: {}' https://api.test/v1",
    "\x1b[32m{}\x1b[0m",
    "https://api.test/v1?k={}&page=2",
    "   12→{}",
    "({})",
    "mcp__{}__read",
)


def documents(line: str) -> list[str]:
    """`line` as Claude Code keeps it: a prompt, JSON inside JSON, and a patch."""
    return [
        json.dumps({"type": "user", "message": {"role": "user", "content": line}}),
        json.dumps(
            {"toolUseResult": {"content": json.dumps({"a": {"b": line}}), "isError": False}}, ensure_ascii=False
        ),
        json.dumps({"structuredPatch": [{"lines": ["+" + part for part in line.split("\n")], "newLines": 3}]}),
    ]


def planted() -> list[tuple[str, str, str]]:
    """(kind, what must not survive, document)"""
    found = []
    for number, (kind, makers) in enumerate(FORMATS.items()):
        for seed, make in enumerate(makers):
            for position, around in enumerate(AROUND):
                secret = make(Maker(1000 * number + 100 * seed + position))
                found += [(kind, secret, document) for document in documents(around.format(secret))]
    found += planted_assignments() + planted_connections() + planted_headers()
    return found + planted_lines() + planted_keys() + planted_encoded()


def planted_assignments() -> list[tuple[str, str, str]]:
    found = []
    names = (
        *(
            "API_KEY",
            "OPENAI_API_KEY",
            "DJANGO_SECRET_KEY",
            "JWT_SECRET",
            "GITHUB_TOKEN",
            "DB_PASSWORD",
            "SESSION_SECRET",
        ),
        *(
            "STRIPE_WEBHOOK_SECRET",
            "AWS_SECRET_ACCESS_KEY",
            "TWILIO_AUTH_TOKEN",
            "SECRET_KEY_BASE",
            "SMTP_PASS",
            "SECRET",
        ),
    )
    shapes = (
        "{}={}",
        'export {}="{}"',
        "{}: {}",
        "{}='{}'",
        "NODE_ENV=production\n{}={}\nPORT=3000\n",
        '  "{}": "{}",',
        "docker run -e {}={} image",
        "set {}={}&& run",
    )
    values = (
        lambda m: m.any(ALNUM, 32),
        lambda m: m.any(HEX, 32),
        lambda m: m.any(HEX, 64),
        lambda m: m.base64(30),
        lambda m: m.any(ALNUM, 20),
        lambda m: m.any(LOWER + DIGITS, 40),
        lambda m: m.any(WEB, 24),
    )
    for number, name in enumerate(names):
        for shape_number, shape in enumerate(shapes):
            for value_number, value in enumerate(values):
                secret = value(Maker(10_000 * number + 100 * shape_number + value_number))
                found += [("assigned_secret", secret, text) for text in documents(shape.format(name, secret))]
    for number, name in enumerate(
        ("apiKey", "api_key", "client_secret", "secretAccessKey", "access_token", "x-api-key")
    ):
        for shape_number, shape in enumerate(('"{}": "{}"', "{}: '{}'", "{} = {}", "?{}={}&x=1")):
            secret = Maker(900_000 + 100 * number + shape_number).any(ALNUM, 40)
            found += [("assigned_secret", secret, text) for text in documents(shape.format(name, secret))]
    return found


def planted_connections() -> list[tuple[str, str, str]]:
    found = []
    addresses = (
        "postgres://app:{}@db.internal:5432/app",
        "postgresql+psycopg2://app:{}@10.0.0.5/app?sslmode=require",
        "mongodb+srv://admin:{}@cluster0.abcde.mongodb.net/logs",
        "mongodb://admin:{}@h1:27017,h2:27017/?replicaSet=rs",
        "mysql://root:{}@localhost/shop",
        "redis://:{}@cache:6379/0",
        "amqps://svc:{}@mq.test/vhost",
        "https://ci-bot:{}@git.test/team/repo.git",
    )
    for number, address in enumerate(addresses):
        for seed, around in enumerate(AROUND):
            secret = Maker(70_000 + 100 * number + seed).any(ALNUM + "!%^*.-_~", 16)
            text = around.format(address.format(secret))
            found += [("connection_password", secret, document) for document in documents(text)]
    for seed in range(8):
        secret = Maker(80_000 + seed).base64(64)
        text = (
            "DefaultEndpointsProtocol=https;AccountName=shop;Account" + f"Key={secret};EndpointSuffix=core.windows.net"
        )
        found += [("azure_storage_key", secret, document) for document in documents(text)]
        secret = Maker(81_000 + seed).any(ALNUM, 14)
        text = f"Server=tcp:db,1433;User ID=app;Password={secret};Encrypt=true"
        found += [("connection_password", secret, document) for document in documents(text)]
    return found


def planted_headers() -> list[tuple[str, str, str]]:
    found = []
    shapes = (
        "Authorization: Bearer {}",
        "curl -H 'authorization: bearer {}' https://api.test",
        '"Authorization": "Bearer {}"',
        'headers = {{"Authorization": "token {}"}}',
        'http --auth-type bearer "Proxy-Authorization: Bearer {}"',
        "> authorization: Bearer {}\n> accept: */*",
    )
    for number, shape in enumerate(shapes):
        for seed in range(6):
            secret = Maker(90_000 + 100 * number + seed).any(ALNUM, 24 + 4 * seed)
            found += [("authorization", secret, document) for document in documents(shape.format(secret))]
    for seed in range(6):
        maker = Maker(95_000 + seed)
        secret = base64.b64encode(f"user{seed}:{maker.any(ALNUM, 14)}".encode()).decode()
        found += [("authorization", secret, text) for text in documents(f"Authorization: Basic {secret}")]
    return found


# A secret and what says that it is one, in settings, commands, headers, addresses and files: shape, alphabet, length
LINES: tuple[tuple[str, str, str, int], ...] = (
    ("assigned_secret", "PGPASSWORD={} psql -h db", ALNUM, 14),
    ("assigned_secret", "env MYSQL_PWD={} mysqldump shop", ALNUM, 14),
    ("assigned_secret", "services:\n  db:\n    mysql_root_password: {}\n    port: 3306", ALNUM, 12),
    ("assigned_secret", "    password: {}\n    user: app", ALNUM, 12),
    ("assigned_secret", "    - db-password: {}  # rotate", ALNUM, 12),
    ("assigned_secret", "spring.datasource.password={}\nspring.datasource.username=app", ALNUM + "!.", 12),
    ("assigned_secret", "spring.mail.password = {}\n", ALNUM, 12),
    ("assigned_secret", "smtp.pass={}\nsmtp.port=25", ALNUM, 12),
    ("assigned_secret", "db.pwd: {}", ALNUM, 12),
    ("command_password", "curl -u admin:{} https://api.test", ALNUM, 12),
    ("command_password", "curl -s -X POST --user 'ci:{}' https://api.test", ALNUM, 12),
    ("command_password", 'curl -fsSLu "ci:{}" https://api.test', ALNUM, 12),
    ("command_password", "mysql -h db -u root -p{} shop", ALNUM, 10),
    ("command_password", "mysqldump --single-transaction -uroot -p'{}' shop > dump.sql", ALNUM, 10),
    ("command_password", "mariadb -h db --password={} shop", LOWER, 6),
    ("command_password", "sshpass -p {} ssh me@host", ALNUM, 8),
    ("command_password", "sshpass -p'{}' scp a me@host:", ALNUM, 8),
    ("command_password", "redis-cli -h cache -a {} ping", ALNUM, 16),
    ("connection_password", "git remote set-url origin https://{}@github.test/team/repo.git", ALNUM, 40),
    ("connection_password", "origin  https://x-access-token:{}@github.test/team/repo (fetch)", ALNUM, 40),
    ("netrc_password", "machine api.test login ada password {}", ALNUM, 12),
    ("netrc_password", "machine api.test\n  login ada\n  password {}\n", LOWER + DIGITS, 10),
    ("cookie", "Cookie: theme=dark; sessionid={}; lang=en", LOWER + DIGITS, 32),
    ("cookie", "curl -H 'Cookie: _app_session={}' https://app.test", ALNUM, 64),
    ("cookie", "< Set-Cookie: sid={}; Path=/; HttpOnly; Secure", ALNUM, 40),
    ("cookie", '{{"cookie": "connect.sid=s%3A{}"}}', ALNUM, 43),
    ("signed_url", "https://shop.blob.core.windows.net/a/b?sv=2024-01-01&se=2026-01-01&sig={}", ALNUM, 44),
    ("signed_url", "https://b.s3.amazonaws.com/k?X-Amz-Date=20260101T000000Z&X-Amz-Signature={}", HEX, 64),
    ("signed_url", "https://storage.googleapis.com/b/k?X-Goog-Expires=900&X-Goog-Signature={}", HEX, 256),
    ("signed_url", "https://d1.cloudfront.net/k?Expires=1767225600&Signature={}&Key-Pair-Id=K1", ALNUM, 172),
    ("otp_secret", "otpauth://totp/App:ada@app.test?secret={}&issuer=App", UPPER + "234567", 32),
)


def planted_lines() -> list[tuple[str, str, str]]:
    found = []
    for number, (kind, shape, alphabet, length) in enumerate(LINES):
        for seed in range(8):
            maker = Maker(200_000 + 100 * number + seed)
            secret = maker.any(alphabet, length - 2) + maker.any(LOWER if alphabet == LOWER else DIGITS, 1)
            secret += maker.any(UPPER if alphabet == UPPER + "234567" else "abcdef", 1)
            found += [(kind, secret, text) for text in documents(shape.format(secret))]
    for seed in range(8):
        maker = Maker(210_000 + seed)
        secret = base64.b64encode(f"ada:{maker.any(ALNUM, 16)}".encode()).decode()
        shapes = ('{{"auths": {{"registry.test": {{"auth": "{}"}}}}}}', "//registry.test/:_auth={}\n")
        found += [("authorization", secret, text) for shape in shapes for text in documents(shape.format(secret))]
    return found


def planted_keys() -> list[tuple[str, str, str]]:
    """Key files; what must not survive is one line of them."""
    found = []
    for seed in range(8):
        maker = Maker(220_000 + seed)
        secret = base64.b64encode(maker.rng.randbytes(32)).decode()
        for shape in ("[Interface]\nPrivateKey = {}\nAddress = 10.0.0.2/24", "[Peer]\nPresharedKey={}\n"):
            found += [("private_key", secret, text) for text in documents(shape.format(secret))]
        lines = [maker.base64(48) for _ in range(7)] + [maker.base64(9)]
        putty = "\n".join(
            ("PuTTY-User-Key-File-3: ssh-ed25519", "Encryption: none", "Private-Lines: 8", *lines, "Private-MAC: ab12")
        )
        found += [("private_key", line, text) for line in (lines[3], lines[-1]) for text in documents(putty)]
        key = private_key(maker).split("\n")
        # a file torn in the middle: no JSON, its line breaks are line breaks
        found += [("private_key", line, f'{{"content": "{chr(10).join(key)}') for line in (key[1], key[6], key[-2])]
    return found


def escaped(text: str, secret: str, deep: int) -> str:
    """JSON `text` with a letter of `secret` in it written as an escape; `deep` levels of JSON inside JSON."""
    slashes = "\\" * 2**deep
    return text.replace(secret, f"{secret[:2]}{slashes}u{ord(secret[2]):04x}{secret[3:]}")


def planted_encoded() -> list[tuple[str, str, str]]:
    found = []
    tokens = [(kind, make) for kind, makers in FORMATS.items() for make in makers[:1]]
    for number, (kind, make) in enumerate(tokens):
        secret = make(Maker(230_000 + number))
        for deep, text in enumerate(documents(f"use {secret} here")[:2]):
            found.append((kind, secret[-8:], escaped(text, secret, deep)))
    encoded = ("anthropic_key", "github_token", "openrouter_key", "npm_token", "slack_token", "google_api_key")
    for number, kind in enumerate(encoded):
        for shift in range(3):
            secret = FORMATS[kind][0](Maker(240_000 + 10 * number + shift))
            text = base64.b64encode(f"{'x' * shift} {secret}\n".encode()).decode()
            found += [("encoded_secret", text, document) for document in documents(f"data:\n  key: {text}\n")]
    for seed in range(4):
        text = base64.b64encode(private_key(Maker(250_000 + seed)).encode()).decode()
        found += [("encoded_secret", text, document) for document in documents(f"kubeconfig: {text}")]
    return found


def test_planted_secrets_are_replaced() -> None:
    cases = planted()
    texts, counts = redact_batch(pa.array([document for _, _, document in cases]))
    missed = [
        (kind, secret, text)
        for (kind, secret, _), text in zip(cases, texts.to_pylist(), strict=True)
        if secret in text or MARK not in text
    ]
    assert len(cases) > 4000
    assert 1 - len(missed) / len(cases) >= 0.99, missed[:20]
    assert set(FORMATS) <= set(counts)
    by_kind = {kind: sum(one == kind for one, _, _ in cases) for kind, _, _ in cases}
    missed_by_kind = {kind: sum(one == kind for one, _, _ in missed) for kind, _, _ in missed}
    assert {kind for kind, count in missed_by_kind.items() if count > 0.1 * by_kind[kind]} == set()
    for (_, _, before), after in zip(cases, texts.to_pylist(), strict=True):
        assert is_json(after) == is_json(before)


def is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("kind", FORMATS)
def test_format_is_named_by_its_kind(kind: str) -> None:
    for number, make in enumerate(FORMATS[kind]):
        text = redact_text(json.dumps({"text": f"a {make(Maker(number))} b"}))
        assert json.loads(text) == {"text": f"a {MARK}{kind}] b"} or kind.endswith("_webhook")


def test_redacting_twice_changes_nothing() -> None:
    once, _ = redact_batch(pa.array([document for _, _, document in planted()]))
    twice, counts = redact_batch(once)
    assert twice.equals(once)
    assert not counts


def private_key(maker: Maker, label: str = "RSA ") -> str:
    dashes = "-" * 5
    lines = [maker.base64(48) for _ in range(12)]
    return "\n".join((f"{dashes}BEGIN {label}PRIVATE KEY{dashes}", *lines, f"{dashes}END {label}PRIVATE KEY{dashes}"))


@pytest.mark.parametrize("label", ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "])
def test_key_block_is_one_mark_where_it_is_one_string(label: str) -> None:
    block = private_key(Maker(1), label)
    for text in (block, json.dumps({"private_key": block + "\n", "id": 1})):
        document = redact_text(json.dumps({"content": f"before\n{text}\nafter"}))
        assert json.loads(document)["content"].count(f"{MARK}private_key]") == 1
        assert not any(line in document for line in block.split("\n")[1:-1])
        assert "after" in document


def test_key_block_is_replaced_when_each_line_is_a_string_of_its_own() -> None:
    lines = private_key(Maker(2)).split("\n")
    document = json.dumps({"structuredPatch": [{"lines": ["+" + line for line in lines], "oldStart": 1}]})
    clean = json.loads(redact_text(document))["structuredPatch"][0]
    assert clean["oldStart"] == 1
    assert len(clean["lines"]) == len(lines)
    assert not any(line in json.dumps(clean) for line in lines[1:-1])


def test_key_block_is_replaced_when_its_end_was_cut_off() -> None:
    lines = private_key(Maker(3)).split("\n")[:6]
    document = json.dumps({"stdout": "\n".join(lines), "next": {"uuid": "0" * 8 + "-0000-4000-8000-" + "0" * 12}})
    clean = json.loads(redact_text(document))
    assert not any(line in clean["stdout"] for line in lines[1:])
    assert clean["next"] == json.loads(document)["next"]


def test_key_block_without_a_key_is_left_alone() -> None:
    document = json.dumps(
        {"command": "grep -r '-----BEGIN RSA PRIVATE KEY-----' . | head; echo '-----END PRIVATE KEY-----'"}
    )
    assert redact_text(document) == document


ORDINARY = (
    "commit 8f14e45fceea167a5a36dedd4bea2543a1b2c3d4",
    "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "SESSION_ID=3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "toolu_01A09q90qw90lq917835lq9 msg_01XFDUDYJgAACzvnptvVoYEL req_011CSHoEeqs5C35K2UUqR7Fy",
    'api_key = os.environ["OPENAI_API_KEY"]',
    "const apiKey = process.env.OPENAI_API_KEY;",
    "API_KEY=$OPENAI_API_KEY",
    "API_KEY=${API_KEY:-}",
    "API_KEY=<your key>",
    "API_KEY=your-api-key-here",
    "API_KEY=sk-...",
    "GITHUB_TOKEN=${{ secrets.GITHUB_TOKEN }}",
    "PRIMARY_KEY = user_id_2024",
    "CACHE_KEY=deps-v3-9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    "MAX_TOKENS=200000 MAX_TOKEN=8192",
    "DB_PASSWORD=",
    "DB_PASSWORD=changeme",
    'password: "password"',
    "password: str = Field(min_length=8)",
    "--- PASS: TestZZDump2 (0.02s)",
    "Authorization: Bearer $TOKEN",
    "Authorization: Bearer <token>",
    "headers.Authorization = `Bearer ${token}`",
    "the bearer of this letter, and Authorization: required",
    "http://localhost:8080/path@2x.png https://host:443/x",
    "postgres://user:password@localhost/db postgres://$USER:$PASS@host/db",
    "git@github.com:owner/repo.git ssh://git@github.com:22/owner/repo",
    "sk-learn and sk-button-primary-large-with-very-long-class-name",
    "task-management-system-for-everyone, ask-me-anything-about-the-repository-now",
    "KEYBOARD=de TURKEY: 12345678901234567890ab",
    "eyJhbGciOi is how a token begins",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "version 1.2.3-beta.4 at 2026-01-01T10:00:00.000Z, 12:34:56",
)


@pytest.mark.parametrize("text", ORDINARY)
def test_ordinary_text_is_left_alone(text: str) -> None:
    for document in documents(text):
        assert redact_text(document) == document


def test_images_and_signatures_are_left_alone() -> None:
    maker = Maker(4)
    rows = [
        json.dumps({"type": "image", "source": {"type": "base64", "data": maker.base64(300_000)}}) for _ in range(5)
    ]
    rows += [json.dumps({"type": "thinking", "thinking": "", "signature": maker.base64(600)}) for _ in range(2000)]
    rows += [json.dumps({"uuid": maker.any(HEX, 32), "id": "toolu_" + maker.any(ALNUM, 24)}) for _ in range(2000)]
    texts = pa.array(rows)
    clean, counts = redact_batch(texts)
    assert clean.equals(texts)
    assert not counts


def test_real_transcripts_are_left_alone(samples_dir: Path) -> None:
    lines = [
        line
        for file in sorted((samples_dir / "projects").rglob("*.jsonl"))
        for line in file.read_bytes().decode("utf-8", "replace").split("\n")
        if line
    ]
    texts = pa.array(lines, pa.large_string())
    clean, counts = redact_batch(texts)
    assert len(lines) > 5000
    assert not counts
    assert clean.equals(texts)


def test_nulls_type_and_order_stay() -> None:
    secret = FORMATS["github_token"][0](Maker(5))
    for kind in (pa.string(), pa.large_string()):
        texts = pa.array([None, '{"a":1}', json.dumps({"k": secret}), None, '{"b":2}'], kind)
        clean, counts = redact_batch(texts)
        assert clean.type == kind
        assert clean.to_pylist() == [None, '{"a":1}', json.dumps({"k": f"{MARK}github_token]"}), None, '{"b":2}']
        assert counts == {"github_token": 1}
        chunked, counts = redact_batch(pa.chunked_array([texts, texts]))
        assert chunked.to_pylist() == clean.to_pylist() * 2
        assert counts == {"github_token": 2}
    assert redact_batch(pa.array([], pa.string()))[0].to_pylist() == []
    assert redact_batch(pa.chunked_array([], pa.string()))[0].to_pylist() == []


def test_text_that_is_no_json_is_redacted_too() -> None:
    secret = FORMATS["anthropic_key"][0](Maker(6))
    assert redact_text(f"half a line {secret} \udcff".encode("utf-8", "replace").decode()).startswith(
        f"half a line {MARK}"
    )
