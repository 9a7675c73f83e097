"""`claude-analytics docs` and `dbt`."""

from __future__ import annotations

import click

from analytics.cli.output import echo
from analytics.settings import load_settings


@click.command()
@click.option("--port", default=8080, show_default=True, help="On the loopback interface.")
@click.option("--no-serve", is_flag=True, help="Write the page only.")
def docs(port: int, no_serve: bool) -> None:
    """Write and serve the documentation of every table and column, with types, tests and lineage.

    \b
    claude-analytics docs --port 9000
    """
    from analytics.common.process import terminable
    from analytics.warehouse.dbt_docs import serve_docs, write_docs

    echo("reading the dbt project ...")
    page = write_docs(load_settings())
    echo(f"written: {page}")
    if not no_serve:
        with terminable():
            serve_docs(page, port)


@click.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dbt(arguments: tuple[str, ...]) -> None:
    """Run a dbt command on the right database with the right variables: everything behind `--` is dbt's.

    It works on the working copy where there is one (after `load`), else on the published database, read-only.

    \b
    claude-analytics dbt -- ls --select marts
    claude-analytics load && claude-analytics dbt -- test --select fct_messages
    """
    from analytics.errors import ConfigError
    from analytics.warehouse.dbt_project import run_dbt

    if not arguments:
        raise ConfigError("give dbt's command behind --, such as: claude-analytics dbt -- ls --select marts")
    run_dbt(load_settings(), list(arguments))
