"""The verbs of phase 1: train, tune, evaluate, predict, serve and replay."""

from __future__ import annotations

import datetime as dt
import json
import os
import sys
from pathlib import Path
from typing import Any

# Before numpy is loaded: one request at a time gains nothing from more threads, and pays for them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import click

from phase1_docker_api.errors import Phase1Error

SEATTLE = Path("data/seattle_sales_2010_2016.parquet")
STORE = Path("models/phase1")


class Verbs(click.Group):
    """A group whose commands end with a message and code 1, not a stack trace, when phase 1 says what is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Phase1Error as error:
            raise click.ClickException(str(error)) from error


def main() -> None:
    """Run the command line."""
    cli(prog_name="phase1")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="phase1-docker-api")
def cli() -> None:
    """House prices: from a file of sales to a service that answers with intervals."""


@cli.command()
def serve() -> None:
    """Serve."""
    from phase1_docker_api.api import create_app
    from phase1_docker_api.logs import configure_logging
    from phase1_docker_api.server import run
    from phase1_docker_api.settings import load_settings

    settings = load_settings()
    configure_logging(settings.log_level)
    run(create_app(settings), settings)
