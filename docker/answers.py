"""Whether a server of this container does what somebody opens it for; exit code 1 and one line when it does not.

    python answers.py jupyter|docs [ADDRESS]

jupyter: a notebook can be listed and opened, there is a kernel for it, the dashboards answer. (`/api` answers even when
no notebook can be opened.) docs: the first page, and dbt's when something is published.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

SECONDS = 10


def get(address: str, token: str = "") -> bytes:
    """What `address` answers, redirects followed.

    Raises:
        OSError: it does not, or with an error.
    """
    request = urllib.request.Request(address, headers={"Authorization": f"token {token}"} if token else {})
    with urllib.request.urlopen(request, timeout=SECONDS) as answer:
        return answer.read()


def check_jupyter(address: str) -> None:
    """Open the first notebook there is.

    Raises:
        OSError: the server does not answer, or with an error.
        LookupError: there is no notebook, or no kernel for it.
    """
    token = os.environ.get("JUPYTER_TOKEN", "")

    def api(path: str) -> dict[str, Any]:
        return json.loads(get(f"{address}/api/{path}", token))

    notebooks = [item["path"] for item in api("contents/notebooks/explore")["content"] if item["type"] == "notebook"]
    if not notebooks:
        raise LookupError("notebooks/explore has no notebook")
    opened = api(f"contents/{sorted(notebooks)[0]}?content=1")
    kernel = opened["content"]["metadata"]["kernelspec"]["name"]
    if kernel not in api("kernelspecs")["kernelspecs"]:
        raise LookupError(f"no kernel {kernel!r} for {opened['path']}")
    get(f"{address}/analytics/", token)


def check_docs(address: str) -> None:
    """Open the first page, and dbt's pages when something is published.

    Raises:
        OSError: the server does not answer, or with an error.
    """
    get(f"{address}/")
    published = Path(os.environ.get("DUCKDB_PATH") or Path(os.environ["DATA_DIR"]) / "analytics.db")
    if published.exists():
        get(f"{address}/dbt/")


def main() -> int:
    role = sys.argv[1]
    check, address = {
        "jupyter": (check_jupyter, "http://127.0.0.1:8888"),
        "docs": (check_docs, "http://127.0.0.1:8080"),
    }[role]
    address = sys.argv[2] if len(sys.argv) > 2 else address
    try:
        check(address)
    except urllib.error.HTTPError as error:
        print(f"{role}: {error.url} answers {error.code}", file=sys.stderr)
    except (OSError, LookupError, ValueError) as error:
        print(f"{role}: {error}", file=sys.stderr)
    else:
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
