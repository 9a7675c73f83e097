"""`validate` and `publish`: only a working copy that passes becomes what readers see."""

from __future__ import annotations

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.command()
@click.option("--checkpoint", default="analytics_checkpoint", show_default=True, help="A checkpoint of gx/.")
@click.option("--build-docs/--no-build-docs", default=True, help="Write the data docs (HTML).")
def validate(checkpoint: str, build_docs: bool) -> None:
    """Run Great Expectations on the working copy, or on the published database when there is none.

    \b
    claude-analytics validate
    claude-analytics validate --no-build-docs
    """
    from analytics.common.lock import run_lock
    from analytics.quality.validate import validate as run_validate

    settings = load_settings()
    with run_lock(settings, holder="validate"):
        result = run_validate(settings, checkpoint=checkpoint, build_docs=build_docs)
    for warning in result.warnings:
        echo(f"warning: {warning}", err=True)
    echo(str(result))
    if result.docs_path:
        echo(f"data docs: {result.docs_path}")
    echo("next: claude-analytics publish")


@click.command()
@click.option("--rollback", is_flag=True, help="Publish the version before the current one again.")
def publish(rollback: bool) -> None:
    """Swap the working copy in as the published database.

    \b
    claude-analytics publish
    claude-analytics publish --rollback
    """
    from analytics.warehouse.publish import publish as run_publish
    from analytics.warehouse.publish import rollback as run_rollback

    settings = load_settings()
    result = run_rollback(settings) if rollback else run_publish(settings)
    echo(str(result))
    echo(f"database: {result.published_path}")
    echo(f"versions: {', '.join(result.kept)}")
    echo("next: claude-analytics report")
