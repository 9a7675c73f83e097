"""Secrets never reach the raw layer; ordinary text is never touched.

The planted secrets are put together at run time, so that none stands in this file.
"""

from __future__ import annotations

import json
import random
import string
from pathlib import Path

import pyarrow as pa
import pytest
from analytics.redact import redact_batch, redact_text

ALNUM = string.ascii_letters + string.digits
URLSAFE = ALNUM + "-_"


def chars(rng: random.Random, alphabet: str, length: int) -> str:
    # at least one digit and one letter, as real tokens have
    return "a7" + "".join(rng.choices(alphabet, k=length - 2))


def planted(rng: random.Random) -> list[tuple[str, str, str]]:
    """(kind, text that holds it, secret)."""
    found = []

    def plant(kind: str, secret: str, text: str = "here it is: {}\nok") -> None:
        found.append((kind, text.format(secret), secret))

    plant("anthropic_key", "sk-" + "ant-api03-" + chars(rng, URLSAFE, 90))
    plant("openai_key", "sk-" + "proj-" + chars(rng, ALNUM, 60))
    plant("openai_key", "sk-" + chars(rng, ALNUM, 48), "export X={}")
    plant("stripe_key", "sk_" + "live_" + chars(rng, ALNUM, 24))
    plant("aws_access_key_id", "AK" + "IA" + "".join(rng.choices(string.ascii_uppercase + "234567", k=16)))
    plant("assigned_secret", chars(rng, ALNUM + "/+", 40), "AWS_SECRET_ACCESS_KEY={}")
    plant("assigned_secret", chars(rng, ALNUM, 24), 'DATABASE_PASSWORD="{}"')
    plant("assigned_secret", chars(rng, ALNUM, 20), 'env: {{"SESSION_SECRET": "{}"}}')
    plant("github_token", "gh" + "p_" + chars(rng, ALNUM, 36))
    plant("github_token", "github_" + "pat_" + chars(rng, ALNUM, 22) + "_" + chars(rng, ALNUM, 59))
    plant("gitlab_token", "gl" + "pat-" + chars(rng, URLSAFE, 20))
    plant("slack_token", "xox" + "b-" + chars(rng, string.digits, 12) + "-" + chars(rng, ALNUM, 24))
    plant(
        "slack_webhook",
        f"T{chars(rng, ALNUM, 8)}/B{chars(rng, ALNUM, 8)}/{chars(rng, ALNUM, 24)}",
        "https://hooks.slack.com/services/{}",
    )
    plant("google_api_key", "AI" + "za" + chars(rng, URLSAFE, 35))
    plant("npm_token", "npm" + "_" + chars(rng, ALNUM, 36))
    plant("pypi_token", "pypi-" + "AgE" + chars(rng, URLSAFE, 120))
    plant("huggingface_token", "hf" + "_" + chars(rng, ALNUM, 34))
    plant("sendgrid_key", "SG" + "." + chars(rng, URLSAFE, 22) + "." + chars(rng, URLSAFE, 43))
    plant("telegram_token", "1234567890:" + "AA" + chars(rng, URLSAFE, 33))
    plant("azure_storage_key", chars(rng, ALNUM, 86) + "==", "AccountName=x;AccountKey={};")
    plant("jwt", f"ey{'J'}{chars(rng, URLSAFE, 30)}.ey{'J'}{chars(rng, URLSAFE, 60)}.{chars(rng, URLSAFE, 43)}")
    plant("url_password", chars(rng, ALNUM, 14), "postgresql://app:{}@db.internal:5432/app")
    plant("url_password", chars(rng, ALNUM, 14), "mongodb+srv://me:{}@cluster0.example.net/")
    plant("authorization_header", chars(rng, ALNUM, 40), "curl -H 'Authorization: Bearer {}' https://x")
    plant("authorization_header", chars(rng, ALNUM, 30) + "==", '{{"Authorization": "Basic {}"}}')
    block = "\n".join(chars(rng, ALNUM, 64) for _ in range(6))
    plant("private_key", f"\n{block}\n", "-----BEGIN " + "RSA PRIVATE KEY-----{}-----END " + "RSA PRIVATE KEY-----")
    return found


def corpus(copies: int) -> list[tuple[str, str, str]]:
    rng = random.Random(5)
    return [item for _ in range(copies) for item in planted(rng)]


def test_recall_is_at_least_99_percent_on_planted_secrets() -> None:
    items = corpus(40)
    documents = [json.dumps({"type": "user", "message": {"role": "user", "content": text}}) for _, text, _ in items]
    redacted, _ = redact_batch(pa.array(documents))
    caught = sum(
        json.dumps(secret)[1:-1] not in clean for (_, _, secret), clean in zip(items, redacted.to_pylist(), strict=True)
    )
    assert caught / len(items) >= 0.99


def test_every_kind_is_caught_and_named() -> None:
    for kind, text, secret in planted(random.Random(1)):
        clean, counts = redact_text(json.dumps({"text": text}))
        assert json.dumps(secret)[1:-1] not in clean, kind
        assert f"[REDACTED:{kind}]" in clean
        assert counts[kind] == 1


def test_documents_stay_valid_json_and_keep_the_rest() -> None:
    for kind, text, secret in planted(random.Random(2)):
        clean, _ = redact_text(json.dumps({"before": 1, "text": text, "after": [None, "é"]}))
        document = json.loads(clean)
        assert document["before"] == 1
        assert document["after"] == [None, "é"]
        assert document["text"] == text.replace(secret, f"[REDACTED:{kind}]")


def test_secrets_are_caught_in_tool_results_that_are_json_within_json() -> None:
    secret = "sk-" + "ant-" + "a1" * 30
    inner = json.dumps({"env": {"ANTHROPIC_API_KEY": secret}})
    clean, counts = redact_text(json.dumps({"content": inner}))
    assert json.loads(json.loads(clean)["content"])["env"]["ANTHROPIC_API_KEY"] == "[REDACTED:anthropic_key]"
    assert sum(counts.values()) == 1


def test_redacting_twice_changes_nothing() -> None:
    documents = pa.array([json.dumps({"t": text}) for _, text, _ in corpus(2)])
    once, counts = redact_batch(documents)
    twice, again = redact_batch(once)
    assert sum(counts.values()) >= len(documents)
    assert twice.equals(once)
    assert again == {}


def test_nulls_and_lengths_are_kept() -> None:
    redacted, _ = redact_batch(pa.array(["{}", None, json.dumps({"t": "gh" + "p_" + "a1" * 18})]))
    assert redacted.to_pylist()[:2] == ["{}", None]
    assert "[REDACTED:github_token]" in redacted.to_pylist()[2]


@pytest.mark.parametrize(
    "text",
    [
        "commit 3f2a9d0c1b4e5f60718293a4b5c6d7e8f9012345",
        "uuid 123e4567-e89b-12d3-a456-426614174000",
        "toolu_01HaEX6WGRyK8yccb6knr31H msg_016xcKQRzQXv2gLKoiSyUZxc req_011CY4TSxK7aKeeVwvVX81aP",
        "API_KEY=os.environ['API_KEY']",
        "API_KEY=${API_KEY}",
        "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}",
        "ANTHROPIC_API_KEY=your-key-here-1234",
        "const MAX_TOKENS = 200000",
        "PRIMARY_KEY=id_column",
        "Authorization: Bearer <token>",
        "Authorization: Bearer $TOKEN",
        "postgresql://user:password@localhost/db",
        "mongodb://user:${MONGO_PASSWORD}@host/db",
        "http://localhost:8080/path@2x.png",
        "https://github.com/owner/repo/blob/main/a.py:12@x",
        "sk-learn and sk-estimator-names-with-many-words",
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
        "TOKEN_LIMIT_EXCEEDED: retry after 30s",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redact_text(json.dumps({"t": text})) == (json.dumps({"t": text}), {})


def test_real_transcripts_hold_nothing_that_is_taken_for_a_secret(samples_dir: Path) -> None:
    lines = [
        line
        for path in sorted((samples_dir / "projects").rglob("*.jsonl"))
        for line in path.read_text(errors="replace").splitlines()
    ]
    redacted, counts = redact_batch(pa.array(lines))
    assert counts == {}
    assert redacted.to_pylist() == lines
