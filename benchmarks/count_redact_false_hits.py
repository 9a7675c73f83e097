"""Redaction's false hits: what it would replace in ordinary code, where hardly anything is a secret.

    python benchmarks/count_redact_false_hits.py            # 60 MB of the libraries that are installed here
    python benchmarks/count_redact_false_hits.py --show     # with file and line of each, to judge them
    python benchmarks/count_redact_false_hits.py --folder SOURCES --suffix .go --suffix .ts

Each file is one document, as a tool's result holds it. Aim: at most 100 replacements in 60 MB. Nothing here is timed.
"""

from __future__ import annotations

import argparse
import json
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from analytics.privacy.redact import MARK, redact_batch, redact_text

SUFFIXES = (
    ".py",
    ".pyi",
    ".js",
    ".ts",
    ".json",
    ".yml",
    ".yaml",
    ".toml",
    ".cfg",
    ".ini",
    ".md",
    ".rst",
    ".sql",
    ".sh",
)
LARGEST_FILE = 2 * 2**20  # what is larger is data or was generated


def texts(folder: Path, suffixes: tuple[str, ...], megabytes: float) -> Iterator[tuple[Path, str]]:
    """Files below `folder` in the order of their names, until there are so many megabytes of them."""
    size = 0
    for path in sorted(folder.rglob("*")):
        if path.suffix not in suffixes or not path.is_file() or path.stat().st_size > LARGEST_FILE:
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        yield path, text
        size += len(text.encode())
        if size >= megabytes * 1e6:
            return


def document(text: str) -> str:
    """A line of a transcript with the text of a file that was read."""
    result = {"type": "tool_result", "tool_use_id": "t1", "content": text}
    return json.dumps({"type": "user", "message": {"role": "user", "content": [result]}})


def replaced_lines(text: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line of a file that redaction changes."""
    clean = json.loads(redact_text(document(text)))["message"]["content"][0]["content"]
    for number, line in enumerate(clean.split("\n"), 1):
        if MARK in line and MARK not in text:
            yield number, line.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(sysconfig.get_paths()["purelib"]))
    parser.add_argument("--suffix", action="append", help=f"default: {' '.join(SUFFIXES)}")
    parser.add_argument("--megabytes", type=float, default=60)
    parser.add_argument("--show", action="store_true", help="file, line and what is left of the line")
    options = parser.parse_args()

    files = size = 0
    counts: Counter[str] = Counter()
    for path, text in texts(options.folder, tuple(options.suffix or SUFFIXES), options.megabytes):
        files, size = files + 1, size + len(text.encode())
        found = redact_batch(pa.array([document(text)], pa.large_string()))[1]
        counts.update(found)
        if options.show and found:
            for number, line in replaced_lines(text):
                print(f"{path.relative_to(options.folder)}:{number}: {line[:160]}")
    figures = {"files": files, "megabytes": round(size / 1e6, 1), "replaced": counts.total(), "by_kind": dict(counts)}
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
