"""The verbs of phase 1; each loads what it needs when it runs: `--help` is quick, serving needs no pandas."""

from __future__ import annotations

import codecs
import datetime as dt
import json
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phase1_docker_api.errors import CourseError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd

    from phase1_docker_api.course.replay import Month
    from phase1_docker_api.schemas import House
    from phase1_docker_api.training.sales import CleanedSales

SEATTLE = Path("data/seattle_sales_2010_2016.parquet")
STORE = Path("models/phase1")
PHASE1 = ".venv/bin/phase1"
FILE = click.Path(path_type=Path, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)
DAY = click.DateTime(["%Y-%m-%d"])


class Verbs(click.Group):
    """Commands that end with a message and the error's code, not a stack trace, when we can say what is wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; nothing in it gains from more threads, and numpy reads this when it is loaded."""
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        try:
            return super().invoke(ctx)
        except CourseError as error:
            failure = click.ClickException(str(error))
            failure.exit_code = error.exit_code  # type: ignore[misc]  # click reads it from the instance
            raise failure from error
        except ModuleNotFoundError as error:
            raise click.ClickException(f"{error.name} is not installed: an image holds what `serve` needs") from error


def main() -> None:
    """Run the command line."""
    cli(prog_name="phase1")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="phase1-docker-api")
def cli() -> None:
    """House prices: from a file of sales to a service that answers with honest intervals.

    \b
    A first walk, from the repository's root:
      phase1 train --until 2011-12-31
      phase1 predict land_area_sqft=5000 bedrooms=3
      phase1 serve

    Exit codes: 0 done, 1 something is wrong and the message says what, 2 the command line itself is wrong.
    """


sales_option = click.option(
    "--sales",
    "sales_file",
    type=FILE,
    default=SEATTLE,
    show_default=True,
    help="CSV or Parquet file of sales.",
)
model_option = click.option(
    "--model",
    "model_path",
    type=FOLDER,
    default=STORE / "current",
    show_default=True,
    help="Folder of a trained model.",
)
estimator_option = click.option(
    "--estimator",
    type=click.Choice(["trees", "linear"]),
    default="trees",
    show_default=True,
    help="What to fit.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
as_of_option = click.option(
    "--as-of",
    type=DAY,
    default=None,
    help="Refuse sales after this day as not yet happened.  [default: today]",
)


@cli.command()
@sales_option
@estimator_option
@click.option("--since", type=DAY, help="First day to learn from.  [default: the first sale]")
@click.option(
    "--until", type=DAY, help="Last day to learn from; later sales score the model.  [default: the last sale]"
)
@click.option(
    "--calibration-months",
    type=click.IntRange(1, 24),
    default=3,
    show_default=True,
    help="Newest months, whose errors calibrate the intervals.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same data, same seed: same predictions.")
@click.option(
    "--store",
    type=FOLDER,
    default=STORE,
    show_default=True,
    help="Where models are kept; `current` points at the newest.",
)
@as_of_option
@json_option
def train(
    sales_file: Path,
    estimator: str,
    since: dt.datetime | None,
    until: dt.datetime | None,
    calibration_months: int,
    seed: int,
    store: Path,
    as_of: dt.datetime | None,
    as_json: bool,
) -> None:
    """Fit a model, calibrate its intervals, score it on later sales, and make it the current one.

    A crash at any moment leaves the current model as it was. Refused rows go to refused.csv in the store.

    \b
      phase1 train --until 2011-12-31                      the course's frozen model
      phase1 train --sales my_city.csv --store models/mine  another city
    """
    from phase1_docker_api.course.terminal import score_table
    from phase1_docker_api.errors import NoCleanSalesError
    from phase1_docker_api.model.artifact import save_model
    from phase1_docker_api.schemas import House
    from phase1_docker_api.training import train as training
    from phase1_docker_api.training.evaluate import score_training
    from phase1_docker_api.training.sales import file_digest

    try:
        cleaned = _read(sales_file, as_of)
    except NoCleanSalesError as error:
        raise CourseError(f"{error}; see {_keep_refused(error.refused, store)}") from error
    kept = _keep_refused(cleaned.refused, store)
    for rule, count in cleaned.rules.items():
        _say(f"  {count:,} refused for {rule}")
    if cleaned.rules:
        _say(f"  each with its reason in {kept}")
    plan = training.TrainingPlan(estimator, _day(since), _day(until), calibration_months, seed)
    _say(f"fitting {estimator} and calibrating its intervals, some seconds …")
    now = dt.datetime.now(dt.UTC)
    model = training.train(cleaned.clean, plan, trained_at=now, data_sha256=file_digest(sales_file))
    model = model.with_scores(score_training(model, cleaned.clean))
    folder = save_model(model, store)
    card = model.card
    _say(f"used the fields {', '.join(card.fields)}")
    if unused := [name for name in House.model_fields if name in cleaned.clean and name not in card.fields]:
        _say(f"left out {', '.join(unused)}: more than half of the sales lack it")
    if cleaned.ignored:
        _say(f"ignored the columns {', '.join(cleaned.ignored)}")
    if as_json:
        click.echo(json.dumps(card.model_dump(mode="json") | {"sales": cleaned.counts, "path": str(folder)}, indent=2))
        return
    _say(
        f"learned from {card.trained_sales:,} sales, {card.trained_from} to {card.trained_until}; "
        f"the {card.calibrated_sales:,} since {card.calibrated_from} calibrated its intervals"
    )
    click.echo(score_table(card.scores) if card.scores else "No later sales to score it on.")
    option = "" if store == STORE else f" --model {shlex.quote(str(store / 'current'))}"
    click.echo(f"\nSaved as {folder}\nNext: {PHASE1} serve{option}")


@cli.command()
@sales_option
@estimator_option
@click.option("--until", type=DAY, default="2011-12-31", show_default=True, help="Last day the search may look at.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the trees' random choices.")
@as_of_option
def tune(sales_file: Path, estimator: str, until: dt.datetime, seed: int, as_of: dt.datetime | None) -> None:
    """Search an estimator's parameters: fit on the past, score on the quarter after it, four times.

    Prints the ten best sets by RMSLE. The trees take some five minutes.
    """
    from phase1_docker_api.training import tune as tuning

    clean = _read(sales_file, as_of).clean
    clean = clean[clean["sale_date"] <= until]
    trials = []
    with click.progressbar(
        tuning.search(clean, estimator, seed), length=tuning.count(estimator), label="trying", file=sys.stderr
    ) as bar:
        trials = sorted(bar, key=lambda trial: trial.rmsle)
    for trial in trials[:10]:
        names = {name.removeprefix("log_price__"): value for name, value in trial.parameters.items()}
        click.echo(f"{trial.rmsle:.4f}  {json.dumps(names)}")


@cli.command()
@sales_option
@click.option(
    "--estimator", type=click.Choice(["linear", "trees"]), default="linear", show_default=True, help="What to fit."
)
@as_of_option
def leak(sales_file: Path, estimator: str, as_of: dt.datetime | None) -> None:
    """Compare what random folds say of a model with how it did in the next year.

    The linear estimator takes seconds, the trees about a minute.
    """
    from phase1_docker_api.course.split_leak import compare_splits

    clean = _read(sales_file, as_of).clean
    click.echo("learned from  random folds say  the next year was")
    for found in compare_splits(clean, estimator):
        click.echo(
            f"{found.window:12}  {f'off by {found.random_off_pct:.1f} %':16}  "
            f"off by {found.later_off_pct:.1f} % in {found.next_year}"
        )


@cli.command()
@model_option
@sales_option
@click.option(
    "--by", type=click.Choice(["year", "month"]), default="year", show_default=True, help="Length of a period."
)
@click.option(
    "--out",
    type=FOLDER,
    default=Path("reports/evaluate"),
    show_default=True,
    help="For metrics.json, chart.png.",
)
@as_of_option
@json_option
def evaluate(model_path: Path, sales_file: Path, by: str, out: Path, as_of: dt.datetime | None, as_json: bool) -> None:
    """Score a model on the sales after its training: complete requests, minimal ones, and a baseline.

    The baseline multiplies the living area by the neighborhood's median price per square foot.
    """
    from phase1_docker_api.course.charts import GREEN, GREY, RED, draw_errors
    from phase1_docker_api.course.terminal import score_table
    from phase1_docker_api.model.artifact import load_model
    from phase1_docker_api.training.evaluate import score_periods

    model = load_model(model_path)
    clean = _read(sales_file, as_of).clean
    _warn_of_another_city(model.card.categories.get("neighborhood", []), clean)
    scores = score_periods(model, clean, {"year": "Y", "month": "M"}[by])
    if not scores:
        raise CourseError(f"no sales after {model.card.trained_until}, where the model's training ends")
    out.mkdir(parents=True, exist_ok=True)
    metrics = {"model_version": model.card.model_version, "scores": [score.model_dump() for score in scores]}
    (out / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    lines = {
        request: ([s.median_abs_error_pct for s in scores if s.request == request], colour)
        for request, colour in (
            ("complete", GREEN),
            ("minimal", RED),
            ("baseline", GREY),
        )
    }
    draw_errors(
        sorted({s.period for s in scores}),
        lines,
        f"{model.card.model_version} on later sales",
        out / "chart.png",
    )
    click.echo(json.dumps(metrics, indent=1) if as_json else score_table(scores))
    _say(f"wrote {out}/metrics.json and {out}/chart.png")


@cli.command()
@model_option
@click.argument("fields", nargs=-1, required=True, metavar="FIELD=VALUE...")
@json_option
def predict(model_path: Path, fields: tuple[str, ...], as_json: bool) -> None:
    """Price one house without a service. `phase1 predict -` reads houses from standard input, one JSON a line.

    \b
      phase1 predict land_area_sqft=5000 bedrooms=3 neighborhood=A12
      echo '{"land_area_sqft": 5000, "bedrooms": 3}' | phase1 predict -
    """
    from phase1_docker_api.course.terminal import estimate_lines
    from phase1_docker_api.model.artifact import load_model
    from phase1_docker_api.service.requests import parse_house

    houses = _houses_of_lines(sys.stdin.buffer) if fields == ("-",) else [parse_house(body_of_words(fields))]
    if not houses:
        return
    for estimate in load_model(model_path).estimate(houses):
        click.echo(estimate.model_dump_json() if as_json or fields == ("-",) else estimate_lines(estimate))


@cli.command()
@click.option("--model", "model_path", type=FOLDER, help="Folder of the model to serve.")
@click.option("--host", help="Address to listen on.")
@click.option("--port", type=int, help="Port to listen on.")
def serve(**options: Any) -> None:
    """Serve prices over HTTP until SIGTERM or Ctrl-C; what is in flight then is still answered.

    Every setting can come from the environment, HOUSE_ and its name in capitals (HOUSE_PORT=5001); an option
    wins. docs/phase1/reference.md lists them all.
    """
    from phase1_docker_api.service.app import create_app
    from phase1_docker_api.service.logs import configure_logging
    from phase1_docker_api.service.server import run
    from phase1_docker_api.settings import Settings, load_settings

    settings = load_settings(Settings, **{name: value for name, value in options.items() if value is not None})
    app = create_app(settings)
    configure_logging(settings.log_level)
    run(app, settings)


@cli.command()
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=5000,
    envvar=["PORT", "HOUSE_PORT", "PHASE1_API_PORT"],
    show_default=True,
    help="Where the service listens; PORT in the environment says so too.",
)
@model_option
@sales_option
@click.option("--image", default="house-price-api", show_default=True, help="Docker image to try.")
@click.option("--exercise", type=click.IntRange(1), help="Check this exercise alone.")
@click.option(
    "--hint", type=click.IntRange(1, 2), is_flag=False, flag_value=1, help="Give its hint; `--hint 2` the plainer one."
)
@json_option
def check(
    port: int,
    model_path: Path,
    sales_file: Path,
    image: str,
    exercise: int | None,
    hint: int | None,
    as_json: bool,
) -> None:
    """Check your own running phase: ✓ or ✗ a line, and what helps; – is what could not be checked here.

    An image that is there is run in a container for a moment, on a port of its own.

    Ends with 0 when no line of the phase is ✗. An exercise is checked only when asked for by number.

    \b
      phase1 check
      phase1 check --exercise 3
      phase1 check --exercise 3 --hint
    """
    from phase1_docker_api.course.check import check_phase
    from phase1_docker_api.course.check_verb import check_phase_or_exercise
    from phase1_docker_api.course.exercises import EXERCISES

    of_phase = check_phase(f"http://127.0.0.1:{port}", model_path, sales_file, image)
    environ = {"PHASE1_API_PORT": str(port)}
    raise SystemExit(check_phase_or_exercise(of_phase, EXERCISES, exercise, hint, as_json, environ))


@cli.command()
@sales_option
@estimator_option
@click.option(
    "--first-year", type=int, default=2012, show_default=True, help="Year to begin with; earlier sales train."
)
@click.option(
    "--window-months",
    type=click.IntRange(6, 120),
    default=12,
    show_default=True,
    help="What each January's training learns from.",
)
@click.option("--out", type=FOLDER, default=Path("reports/demo"), show_default=True, help="For the report.")
@as_of_option
def replay(
    sales_file: Path,
    estimator: str,
    first_year: int,
    window_months: int,
    out: Path,
    as_of: dt.datetime | None,
) -> None:
    """Live the years after training again: a frozen model beside one retrained each January.

    Trains, serves, sends every sale in the month it happened over HTTP, and compares with the price paid.
    """
    from phase1_docker_api.course import replay as replaying
    from phase1_docker_api.course.report import write_report
    from phase1_docker_api.course.terminal import MONTH_HEAD, month_line
    from phase1_docker_api.training.sales import file_digest

    clean = _read(sales_file, as_of).clean
    months: list[Month] = []
    for step in replaying.replay(
        clean,
        first_year=first_year,
        window_months=window_months,
        estimator=estimator,
        trained_at=dt.datetime.now(dt.UTC),
        data_sha256=file_digest(sales_file),
    ):
        if isinstance(step, replaying.Month):
            months.append(step)
            click.echo(month_line(step))
        else:
            since = f"from {step.since}" if step.since else "from the first sale"
            training = f"  training on sales {since} to {step.until}, then starting services …"
            click.echo(click.style(f"\n{training}\n{MONTH_HEAD}", dim=True))
    finding = write_report(months, sales_file.name, out)
    click.echo(f"\n{click.style(finding, bold=True)}\n")
    files = {"report.html": "the story", "chart.png": "its chart", "figures.json": "an entry a month"}
    for name, what in files.items():
        click.echo(f"  {out / name!s:32} {what}")
    click.echo(
        f"\nNext: make phase1-up, then ask for a price; or {PHASE1} replay --estimator linear --out reports/linear"
    )


def _read(sales_file: Path, as_of: dt.datetime | None) -> CleanedSales:
    from phase1_docker_api.training.sales import load_clean_sales, today

    cleaned = load_clean_sales(sales_file, as_of.date() if as_of else today())
    counts = cleaned.counts
    _say(f"read {counts['read']:,} sales: {counts['clean']:,} clean, {counts['refused']:,} refused")
    return cleaned


def _keep_refused(refused: pd.DataFrame, store: Path) -> Path:
    from phase1_docker_api.model.artifact import writing_to

    path = store / "refused.csv"
    with writing_to(store):
        store.mkdir(parents=True, exist_ok=True)
        refused.to_csv(path, index=False)
    return path


def _warn_of_another_city(areas: list[str], sales: pd.DataFrame) -> None:
    theirs = sorted(sales["neighborhood"].dropna().unique()) if "neighborhood" in sales else []
    if areas and not set(areas) & set(theirs):
        seen = f"they have {', '.join(theirs[:3])} …" if theirs else "they name none"
        _say(f"warning: no sale is in a neighborhood of the model ({', '.join(areas[:3])} …), {seen}; another city?")


def _day(moment: dt.datetime | None) -> dt.date | None:
    return moment.date() if moment else None


def _say(text: str) -> None:
    """Progress goes to standard error, so that a script that reads standard output gets figures alone."""
    click.echo(text, err=True)


def _houses_of_lines(lines: Iterable[bytes]) -> list[House]:
    from phase1_docker_api.service.requests import parse_house

    houses = []
    for number, line in enumerate(lines, 1):
        body = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if body.strip():
            try:
                houses.append(parse_house(body))
            except CourseError as error:
                raise CourseError(f"line {number}: {error}") from error
    return houses


def body_of_words(fields: tuple[str, ...]) -> bytes:
    """Make the body that the service would get of `name=value` words; a name of a category may be a number."""
    from phase1_docker_api.schemas import CATEGORIES

    body: dict[str, Any] = {}
    for word in fields:
        name, equals, text = word.partition("=")
        if not equals:
            raise click.UsageError(f"{word!r} is not FIELD=VALUE")
        if name in body:
            raise click.UsageError(f"{name} is given twice")
        body[name] = text if name in CATEGORIES else _number_or_text(text)
    return json.dumps(body).encode()


def _number_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
