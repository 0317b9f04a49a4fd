"""The verbs from a month of raw sales to the sales table; each loads what it needs when it runs."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from phase1_docker_api.cli import SEATTLE

if TYPE_CHECKING:
    from phase3_mlops_core.landing.zone import Landed
    from phase3_mlops_core.preparation.prepare import Preparation
    from phase3_mlops_core.settings import PipelineSettings

MONTH = click.DateTime(["%Y-%m"])
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


@click.command()
@click.argument("month", type=MONTH, required=False)
@click.option("--until", type=MONTH, help="Land each month of the file up to this one.")
@click.option("--sales", "source", type=FILE, default=SEATTLE, show_default=True, help="File to cut months out of.")
@click.option("--file", "delivery", type=FILE, help="Land this file, all of it, as the month: late or corrected sales.")
@json_option
def land(
    month: dt.datetime | None, until: dt.datetime | None, source: Path, delivery: Path | None, as_json: bool
) -> None:
    """Put a month of raw sales into the landing zone, as it is delivered: nothing is cleaned yet.

    A delivery holds all sales of its month. A newer one of the same month takes the place of the older ones, which
    are kept. Safe to repeat: a month that has landed with the same content is left as it is.

    \b
      phase3 land 2012-02
      phase3 land --until 2012-01                 all months from the first one on
      phase3 land 2012-02 --file corrected.csv    the month as another file has it
    """
    if (month is None) == (until is None):
        raise click.UsageError("give one month, such as 2012-02, or --until one")
    landed = _land(f"{month:%Y-%m}" if month else None, f"{until:%Y-%m}" if until else None, source, delivery)
    if as_json:
        entries = [{"name": one.delivery.name, "rows": one.rows, "is_new": one.is_new} for one in landed]
        click.echo(json.dumps(entries, indent=1))
        return
    new = [one for one in landed if one.is_new]
    for one in landed if month else new[-1:]:
        what = "landed" if one.is_new else "has landed before, nothing changed"
        click.echo(f"{one.delivery.month}: {one.rows:,} raw sales, {what} ({one.delivery.name})")
    if until:
        click.echo(f"{len(landed)} months up to {until:%Y-%m}: {len(new)} new, {len(landed) - len(new)} there before")
    click.echo("Next: phase3 prepare")


@click.command()
@click.option(
    "--as-of", type=click.DateTime(["%Y-%m-%d"]), help="Day of preparation.  [default: the end of the newest month]"
)
@click.option("--afresh", is_flag=True, help="Prepare all months again, not those alone that a new file can change.")
@click.option("--spark", "remote", envvar="SPARK_REMOTE", help="Address of Spark.  [default: PIPELINE_SPARK_REMOTE]")
@json_option
def prepare(as_of: dt.datetime | None, afresh: bool, remote: str | None, as_json: bool) -> None:
    """Make the table of clean sales, and the quarantine, from what has landed: with Spark.

    A row that breaks a rule is refused with its reason; a month of which too many rows break a range is quarantined
    whole. Months that no new file can change are not touched. Safe to repeat; one that is killed changes nothing.

    \b
      phase3 prepare
      phase3 prepare --as-of 2012-02-29
    """
    done = prepare_landed(_settings(), as_of.date() if as_of else None, afresh=afresh, remote=remote, say=_say)
    entry = counts_of(done)
    if as_json:
        click.echo(json.dumps(entry, indent=1))
        return
    for held in entry["quarantined_months"]:
        click.echo(f"✗ {held['name']} is quarantined whole: {held['why']}")
    click.echo(
        f"{entry['months']} months up to {entry['as_of']}: {entry['rows']:,} raw sales = {entry['clean']:,} clean "
        f"+ {entry['repeats']:,} repeated + {entry['refused']:,} refused"
    )
    written = done.written
    span = f"{written[0]} to {written[-1]}" if len(written) > 3 else ", ".join(written)
    months = f"{len(written)} month{'s' * (len(written) != 1)}"
    click.echo(f"wrote {months}: {span}" if written else "nothing new: the table is as it was")


VERBS = (land, prepare)


def prepare_landed(
    settings: PipelineSettings,
    as_of: dt.date | None = None,
    *,
    afresh: bool = False,
    remote: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Preparation:
    """Open the session with Spark and prepare, as the verb does.

    Raises:
        SparkError: Spark does not answer, or was lost in the middle; repeat it then.
        PreparationError: nothing has landed, or another preparation runs.

    """
    from phase3_mlops_core.preparation.prepare import prepare as run
    from phase3_mlops_core.preparation.session import spark_session

    with spark_session(remote or settings.spark_remote) as spark:
        return run(settings.home, spark, as_of, afresh=afresh, say=say)


def counts_of(done: Preparation) -> dict[str, Any]:
    """Count the rows of the files in use: each is clean, repeats another one, or was refused."""
    manifest = done.manifest
    used = [manifest.deliveries[name] for name in manifest.in_use.values()]
    months = manifest.months.values()
    return {
        "as_of": str(manifest.as_of),
        "build": manifest.build,
        "months": len(manifest.in_use),
        "rows": sum(record.rows for record in used),
        "clean": sum(month.clean.rows for month in months if month.clean),
        "repeats": sum(month.repeats.rows for month in months if month.repeats),
        "refused": sum(record.refused for record in used),
        "written": done.written,
        "quarantined_months": [
            {"name": name, "rows": record.rows, "why": record.held}
            for name, record in manifest.deliveries.items()
            if record.held
        ],
    }


def _land(month: str | None, until: str | None, source: Path, delivery: Path | None) -> list[Landed]:
    from phase1_docker_api.training.reading import read_sales

    from phase3_mlops_core.landing.zone import cut_month, cut_months, land_month

    if month and delivery:
        return [land_month(_settings().home, month, read_sales(delivery))]
    sales = read_sales(source)
    cuts = {month: cut_month(sales, month)} if month else cut_months(sales, until)
    return [land_month(_settings().home, name, rows) for name, rows in cuts.items()]


def _settings() -> PipelineSettings:
    from phase3_mlops_core.settings import pipeline_settings

    return pipeline_settings()


def _say(text: str) -> None:
    click.echo(text, err=True)
