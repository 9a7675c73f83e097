"""Which model an id names.

The same model is written in many ways: with a vendor, a router, a date, a version, a context window, a dot for a dash.
Bedrock's ids keep their region, since its regional endpoints have prices of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FAMILIES = ("opus", "sonnet", "haiku", "fable", "mythos")

# What stands behind a model's name and is no part of it: dates, Bedrock's version, context window, a router's variant.
_SUFFIXES = re.compile(
    r"(?:\[[^\]]*\]"
    r"|@(?:default|latest|\d{4}-?\d{2}-?\d{2})"
    r"|-20\d{6}|-20\d{2}-\d{2}-\d{2}"
    r"|-latest"
    r"|-v\d+(?::\d+)?(?::\d+k)?"
    r"|:(?:beta|thinking|extended))$"
)
_BEDROCK = re.compile(r"^(?:(?P<region>[a-z]{2}(?:-gov)?|apac|global)\.)?anthropic\.(?P<model>.+)$")
_CLAUDE = re.compile(
    rf"^claude-(?:(?P<family>{'|'.join(FAMILIES)})-(?P<version>\d+(?:-\d+)?)"
    rf"|(?P<version_first>\d+(?:-\d+)?)-(?P<family_last>{'|'.join(FAMILIES)}))$"
)


@dataclass(frozen=True)
class ModelId:
    """A model: `claude-opus-4-6`, the same through Bedrock's regional or global endpoints, or another vendor's."""

    name: str  # canonical; for other vendors in lower case, without date, dots as dashes
    is_claude: bool
    bedrock: str | None = None  # `global` or `regional` when it is one of Bedrock's ids

    def __str__(self) -> str:
        return f"{self.name} ({self.bedrock})" if self.bedrock else self.name


def canonical(model: str) -> ModelId:
    """The model that `message.model` names.

    >>> canonical("openrouter/anthropic/claude-opus-4.6:thinking").name
    'claude-opus-4-6'
    >>> canonical("eu.anthropic.claude-sonnet-4-5-20250929-v1:0")
    ModelId(name='claude-sonnet-4-5', is_claude=True, bedrock='regional')
    """
    name = model.strip().lower()
    # a router's or vendor's path, or an ARN: the model is what stands last
    name = name.rsplit("/", 1)[-1]
    bedrock = None
    if found := _BEDROCK.match(name):
        bedrock = "global" if found["region"] == "global" else "regional"
        name = found["model"]
    name = re.sub(r"(?<=\d)\.(?=\d)", "-", name)
    while (shorter := _SUFFIXES.sub("", name)) != name:
        name = shorter
    found = _CLAUDE.match(name)
    if not found:
        return ModelId(name, False, bedrock)
    family = found["family"] or found["family_last"]
    # a zero as in claude-opus-4-0 is no point release
    version = re.sub(r"-0$", "", found["version"] or found["version_first"])
    # Anthropic named the family last up to version 3
    name = f"claude-{version}-{family}" if int(version.split("-")[0]) < 4 else f"claude-{family}-{version}"
    return ModelId(name, True, bedrock)
