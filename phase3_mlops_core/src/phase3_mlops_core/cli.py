"""The verbs of phase 3; each loads the rooms it needs when it runs."""

from __future__ import annotations

import click
from phase1_docker_api.cli import Verbs

from phase3_mlops_core.preparation.verbs import VERBS as PREPARATION_VERBS
from phase3_mlops_core.retraining.verbs import VERBS as RETRAINING_VERBS


def main() -> None:
    """Run the command line."""
    cli(prog_name="phase3")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="phase3-mlops-core")
def cli() -> None:
    """From a month of sales to a registered version that was compared with the one in production.

    Exit codes: 0 done, 1 something is wrong and the message says what, 2 the command line itself is wrong.
    """


for verb in (*PREPARATION_VERBS, *RETRAINING_VERBS):
    cli.add_command(verb)
