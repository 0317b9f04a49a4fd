"""Options that verbs share, and the exit code that a scheduler takes as skipped."""

from __future__ import annotations

from pathlib import Path

import click

REPORTS = Path("reports/phase3")
# What a scheduler takes as skipped; it is no error.
NOTHING_TO_DO = 99
MONTH = click.DateTime(["%Y-%m"])
month_option = click.option("--month", type=MONTH, required=True, help="Newest month of sales, such as 2012-02.")
version_option = click.option("--version", "number", type=click.IntRange(1), help="Number of a version.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
exit_code_option = click.option(
    "--exit-code", is_flag=True, help=f"End with {NOTHING_TO_DO} where there is nothing to go on with: for schedulers."
)
search_option = click.option("--search", is_flag=True, help="Try a grid of parameters too, not the two families alone.")
seed_option = click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap's draws.")
out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=REPORTS,
    show_default=True,
    help="For the reports.",
)
sales_option = click.option(
    "--sales",
    "file",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Take this raw file instead of the sales table: to try something without Spark.",
)


def nothing_to_do(exit_code: bool) -> None:
    """End the command with the code that says so, if that was asked for."""
    if exit_code:
        click.get_current_context().exit(NOTHING_TO_DO)
