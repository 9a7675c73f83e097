"""`claude-analytics doctor`."""

from __future__ import annotations

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.command()
@click.option("--repair", is_flag=True, help="After DATA_DIR was moved or copied: make the Iceberg tables point at it.")
def doctor(repair: bool) -> None:
    """Look for gaps, models without a price, dead letters and unknown entries.

    \b
    claude-analytics doctor
    claude-analytics doctor --repair

    Exits with 0 also when there is something to look at: findings are not failures.
    """
    from analytics.operations.doctor import examine
    from analytics.operations.kept import kept_sentences

    if repair:
        from analytics.raw.repair import repair as run_repair

        echo(str(run_repair(load_settings())))
        echo("next: claude-analytics pipeline")
        return
    settings = load_settings()
    findings = examine(settings)
    for finding in findings:
        echo(str(finding))
    for sentence in kept_sentences(settings):
        echo(f"kept  {sentence}")
    found = sum(not finding.is_ok for finding in findings)
    echo(f"{found} of {len(findings)} checks have something to look at" if found else "nothing to look at")
