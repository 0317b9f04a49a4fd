"""The verbs of phase 3; each loads the rooms it needs when it runs."""

from __future__ import annotations

import json
from pathlib import Path

import click
from phase1_docker_api.cli import SEATTLE, Verbs

from phase3_mlops_core.delivery.verbs import VERBS as DELIVERY_VERBS
from phase3_mlops_core.preparation.verbs import VERBS as PREPARATION_VERBS
from phase3_mlops_core.retraining.next_month import next_month
from phase3_mlops_core.retraining.verbs import VERBS as RETRAINING_VERBS


def main() -> None:
    """Run the command line."""
    cli(prog_name="phase3")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="phase3-mlops-core")
def cli() -> None:
    """From a month of sales to a registered version that was compared with the one in production.

    Exit codes: 0 done, 1 something is wrong and the message says what, 2 the command line itself is wrong, 75 a server
    does not answer or another command works: try again. With --exit-code also 99: there is nothing to go on with.
    """


@cli.command()
@click.option(
    "--policy", "names", multiple=True, help="Such as monthly-12; may be given again; `every` is all of them."
)
@click.option("--first", default="2012-01", show_default=True, help="First month that is lived again.")
@click.option("--last", default="2016-12", show_default=True, help="Last month.")
@click.option(
    "--sales", "file", type=click.Path(path_type=Path, dir_okay=False), default=SEATTLE, show_default=True,
    help="CSV or Parquet file of raw sales.",
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("reports/phase3/replay"),
              show_default=True, help="For replay.md, replay.json and replay.png.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def replay(names: tuple[str, ...], first: str, last: str, file: Path, out: Path, as_json: bool) -> None:
    """Live five years again, month by month, by several policies of retraining: no server, some minutes.

    A policy is never, or when and on how many months: trigger-6, gate-12, monthly-24; `-all` is an expanding window.

    \b
      phase3 replay
      phase3 replay --policy never --policy monthly-12
      phase3 replay --policy every                         half an hour
    """
    from phase1_docker_api.training.sales import load_clean_sales, today

    from phase3_mlops_core.course.policies import POLICIES, USUAL, replay_policies, table, write

    chosen = tuple(POLICIES) if names == ("every",) else names or USUAL
    if unknown := set(chosen) - set(POLICIES):
        raise click.UsageError(f"no policy is called {sorted(unknown)[0]}; there are {', '.join(POLICIES)}")
    sales = load_clean_sales(file, today()).clean
    lived = []
    for one in replay_policies(sales, chosen, first, last):
        click.echo(f"{one.name}: {one.fits} fits, off by {one.off_by_pct:.1f} %", err=True)
        lived.append(one)
    lived.sort(key=lambda one: chosen.index(one.name))
    write(lived, out)
    click.echo(json.dumps(json.loads((out / "replay.json").read_text())) if as_json else table(lived))
    click.echo(f"wrote {out}/replay.md, replay.json and replay.png", err=True)


for verb in (*PREPARATION_VERBS, *RETRAINING_VERBS, next_month, *DELIVERY_VERBS):
    cli.add_command(verb)
