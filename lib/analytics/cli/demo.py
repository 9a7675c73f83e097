"""`claude-analytics demo`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.command()
@click.option("--entries", default=20_000, show_default=True, type=click.IntRange(1), help="Entries to write.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1), help="Length of the history.")
@click.option("--seed", default=1, show_default=True, type=int, help="The same seed gives the same history.")
@click.option(
    "--bulk",
    default=1,
    show_default=True,
    type=click.IntRange(1, 100),
    help="How many times as much text tools return; 5: as in real ones.",
)
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to write it; default DATA_DIR/projects.",
)
def demo(entries: int, days: int, seed: int, bulk: int, directory: Path | None) -> None:
    """Generate a synthetic history, with its ground truth in truth.json beside it (days and hours in ANALYTICS_TZ).

    `make demo` does this below data/demo and runs the pipeline on it, so that invented history never mixes with yours.

    \b
    claude-analytics demo --entries 100000 --days 90 --directory /tmp/history
    """
    import shutil

    from transcript_generator import generate

    from analytics.errors import ConfigError

    settings = load_settings()
    target = directory or settings.data_dir / "projects"
    marker = target / ".synthetic"
    if target.exists() and any(target.iterdir()):
        # only what this command wrote is ever replaced
        if not marker.exists():
            raise ConfigError(f"--directory {target}: not empty and not written by `demo`; choose another directory")
        shutil.rmtree(target)
    target.mkdir(parents=True, exist_ok=True)
    marker.touch()
    if directory is None:
        settings.demo_marker.touch()
    truth = generate(target, seed=seed, entries=entries, days=days, timezone=settings.analytics_tz, bulk=bulk)
    truth_file = target.parent / "truth.json"
    truth_file.write_text(json.dumps(truth.to_json(), indent=1, sort_keys=True))
    echo(
        f"{truth.documents:,} synthetic entries of {len(truth.sessions):,} sessions in {target}; truth in {truth_file}"
    )
    if directory is not None:
        echo(f"next: CLAUDE_PROJECTS_DIR={target} claude-analytics pipeline")
