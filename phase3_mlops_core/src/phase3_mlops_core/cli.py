"""The verbs of phase 3; each loads the rooms it needs when it runs."""

from __future__ import annotations

import json
from pathlib import Path

import click
from phase1_docker_api.cli import SEATTLE, Verbs

from phase3_mlops_core.delivery.verbs import VERBS as DELIVERY_VERBS
from phase3_mlops_core.preparation.verbs import VERBS as PREPARATION_VERBS
from phase3_mlops_core.registry.verbs import VERBS as REGISTRY_VERBS
from phase3_mlops_core.retraining.next_month import next_month
from phase3_mlops_core.retraining.verbs import VERBS as RETRAINING_VERBS
from phase3_mlops_core.service.verbs import VERBS as SERVICE_VERBS


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


@cli.command()
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option(
    "--model", "model_path", type=click.Path(path_type=Path, file_okay=False),
    default=Path("models/phase1/current"), show_default=True, help="Folder of a trained model.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def explain(fields: tuple[str, ...], model_path: Path, as_json: bool) -> None:
    """Say what each field of a house adds to its price, in dollars that add up to it.

    \b
      phase3 explain land_area_sqft=5000 bedrooms=3 neighborhood=A12
    """
    from phase1_docker_api.cli import body_of_words
    from phase1_docker_api.model.artifact import load_model
    from phase1_docker_api.service.requests import parse_house

    from phase3_mlops_core.service.explanation import explain as explained
    from phase3_mlops_core.service.explanation import lines_of

    found = explained(load_model(model_path), parse_house(body_of_words(fields)).__dict__)
    click.echo(found.model_dump_json(indent=1) if as_json else "\n".join(lines_of(found)))


@cli.command()
@click.option("--spark", "remote", envvar="SPARK_REMOTE", help="Address of Spark.  [default: PIPELINE_SPARK_REMOTE]")
@click.option("--exercise", type=click.IntRange(1), help="Check this exercise alone.")
@click.option(
    "--hint", type=click.IntRange(1, 2), is_flag=False, flag_value=1, help="Give its hint; `--hint 2` the plainer one."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def check(remote: str | None, exercise: int | None, hint: int | None, as_json: bool) -> None:
    """Check your own running phase: ✓ or ✗ a line, and what helps; – is what could not be checked yet.

    Nothing is changed. Ends with 0 when no line of the phase is ✗. An exercise is checked only when asked for by
    number.
    """
    from phase1_docker_api.course.check_verb import check_phase_or_exercise

    from phase3_mlops_core.course.check import check_pipeline
    from phase3_mlops_core.course.exercises import EXERCISES
    from phase3_mlops_core.settings import pipeline_settings

    found = check_pipeline(pipeline_settings(), remote)
    raise SystemExit(check_phase_or_exercise(found, EXERCISES, exercise, hint, as_json))


for verb in (*PREPARATION_VERBS, *RETRAINING_VERBS, *SERVICE_VERBS, *REGISTRY_VERBS, next_month, *DELIVERY_VERBS):
    cli.add_command(verb)
