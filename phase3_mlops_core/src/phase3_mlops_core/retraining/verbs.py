"""The verbs from a month to a champion; each loads the rooms it needs when it runs."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phase3_mlops_core.errors import QuarantinedError
from phase3_mlops_core.retraining.options import (
    MONTH,
    exit_code_option,
    json_option,
    month_option,
    nothing_to_do,
    out_option,
    sales_option,
    search_option,
    seed_option,
    version_option,
)

if TYPE_CHECKING:
    import pandas as pd

    from phase3_mlops_core.gate.judge import Judgement
    from phase3_mlops_core.registry.versions import Registry, Version
    from phase3_mlops_core.retraining.steps import Done
    from phase3_mlops_core.settings import PipelineSettings


@click.command()
@month_option
@search_option
@sales_option
@exit_code_option
@json_option
def train(month: dt.datetime, search: bool, file: Path | None, exit_code: bool, as_json: bool) -> None:
    """Train on the sales up to a month, register the version, and name it challenger.

    Both families are tried on the three months before; the better one is fitted twice: without the newest month,
    for the gate to score on it, and with it, to serve. Safe to repeat: the same sales and plan make the same
    version, and it is registered once. A run that was killed is closed by the next one.

    \b
      phase3 train --month 2012-02
      phase3 train --month 2012-02 --search
    """
    settings, registry = _opened(f"train --month {_name(month)}")
    try:
        done = _train(settings, registry, _period(month), search, file)
    except QuarantinedError as error:
        if not exit_code:
            raise
        _say(str(error))
        nothing_to_do(exit_code)
        return
    if "promoted_as_of" in done.version.tags:
        _print(_version_entry(registry, done), as_json, _promoted_before(done))
        nothing_to_do(exit_code)
        return
    text = f"{_again(done)}{done.version} is the challenger.\nNext: phase3 evaluate"
    _print(_version_entry(registry, done), as_json, text)


@click.command()
@version_option
@sales_option
@seed_option
@out_option
@exit_code_option
@json_option
def evaluate(number: int | None, file: Path | None, seed: int, out: Path, exit_code: bool, as_json: bool) -> None:
    """Compare the challenger with the champion on its newest month, which neither has seen.

    Writes a report (gate.html, gate.png, gate.json) and logs it to the version's run. A version that keeps every
    bound of gate.toml gets the alias staging. The exit code is 0 after a comparison, passed or not; with
    --exit-code it is 99 for a version that did not pass. Safe to repeat: the same seed gives the same answer.
    """
    settings, registry = _opened("evaluate")
    version, found = _evaluate(settings, registry, number, file, seed, out)
    _show_judgement(registry, version, found, as_json)
    if not found.passed:
        nothing_to_do(exit_code)


@click.command()
@version_option
@click.option("--as-of", type=MONTH, help="Month on whose sales this is decided.  [default: the version's month]")
@click.option("--why", help="Reason for the log.  [default: what the gate said]")
@json_option
def promote(number: int | None, as_of: dt.datetime | None, why: str | None, as_json: bool) -> None:
    """Make the staged version champion, and write who decided it, when and why.

    A version that was champion before can be made so again (--version 3): that is a rollback. Safe to repeat: a
    promotion that was killed half way is finished, one that is done stays as it is.
    """
    _, registry = _opened("promote")
    done = _promote(registry, number, _name(as_of) if as_of else None, why)
    text = f"{_again(done)}{done.version} is the champion.\nNext: phase3 history"
    _print(_version_entry(registry, done), as_json, text)


@click.command()
@month_option
@search_option
@sales_option
@click.option("--no-prepare", is_flag=True, help="Take the sales table as it is; so does --sales.")
@seed_option
@out_option
@json_option
def retrain(
    month: dt.datetime, search: bool, file: Path | None, no_prepare: bool, seed: int, out: Path, as_json: bool
) -> None:
    """Prepare, train, evaluate and, if the gate is passed, promote: a month in one command.

    Ends with 0 and a new champion, or with 0 and the reason why not. One at a time: a second one says who works.
    Safe to repeat: what is done is found done.
    """
    settings, registry = _opened(f"retrain --month {_name(month)}")
    if not no_prepare and not file:
        _prepare(settings)
    trained = _train(settings, registry, _period(month), search, file)
    if "promoted_as_of" in trained.version.tags:
        _print(_version_entry(registry, trained), as_json, _promoted_before(trained))
        return
    version, found = _evaluate(settings, registry, trained.version.number, file, seed, out)
    if not as_json or not found.passed:
        _show_judgement(registry, version, found, as_json)
    if found.passed:
        done = _promote(registry, trained.version.number, None, None)
        _print(_version_entry(registry, done) | {"why": found.why}, as_json, f"\n{done.version} is the champion.")


@click.command()
@click.option("--at", type=MONTH, help="Tell what was champion then: by the newest decision on sales up to this month.")
@json_option
def history(at: dt.datetime | None, as_json: bool) -> None:
    """Show each version with its story, and each promotion; say where the log and the registry differ."""
    from phase3_mlops_core.registry import promotions
    from phase3_mlops_core.registry.versions import Registry
    from phase3_mlops_core.retraining.story import champion_line, history_entry, history_lines

    settings = _settings()
    log = promotions.read(settings.home)
    if at:
        then = promotions.champion_at(log, _name(at))
        _print(then and then.model_dump(mode="json"), as_json, champion_line(_name(at), then))
        return
    registry = Registry(settings)
    versions, aliases = registry.versions(), registry.aliases()
    wrong = promotions.disagreements(log, aliases)
    _print(history_entry(versions, aliases, log, wrong), as_json, history_lines(versions, aliases, log, wrong))


@click.command()
@json_option
def janitor(as_json: bool) -> None:
    """Close what a killed training left open: runs, half uploaded models, drafts. Safe to repeat at any time."""
    from phase3_mlops_core.registry.janitor import tidy

    _, registry = _opened("janitor")
    done = tidy(registry)
    _print({"done": done}, as_json, "\n".join(done) or "Nothing was left open.")


VERBS = (train, evaluate, promote, retrain, history, janitor)


def _opened(doing: str) -> tuple[PipelineSettings, Registry]:
    """Take the pipeline's lock until the command ends, reach the registry, and tidy up after who was killed."""
    from phase3_mlops_core.registry.janitor import tidy
    from phase3_mlops_core.registry.versions import Registry
    from phase3_mlops_core.retraining.lock import pipeline_lock

    settings = _settings()
    click.get_current_context().with_resource(pipeline_lock(settings.home, f"phase3 {doing}"))
    registry = Registry(settings)
    if not doing.startswith("janitor"):
        for line in tidy(registry):
            _say(line)
    return settings, registry


def _prepare(settings: PipelineSettings) -> None:
    from phase3_mlops_core.preparation.verbs import prepare_landed

    prepare_landed(settings, say=_say)


def _train(settings: PipelineSettings, registry: Registry, month: pd.Period, search: bool, file: Path | None) -> Done:
    from phase3_mlops_core.retraining import steps
    from phase3_mlops_core.retraining.sales import known_sales
    from phase3_mlops_core.training.plan import MonthlyPlan

    known = known_sales(settings.home, month, file)
    _say(f"read {len(known.frame):,} clean sales up to {month} from {known.source}")
    plan = MonthlyPlan(settings.estimator, settings.window_months)
    return steps.train(registry, known, month, plan, search, _say)


def _evaluate(
    settings: PipelineSettings, registry: Registry, number: int | None, file: Path | None, seed: int, out: Path
) -> tuple[Version, Judgement]:
    import pandas as pd

    from phase3_mlops_core.errors import GateError
    from phase3_mlops_core.registry.versions import CHALLENGER
    from phase3_mlops_core.retraining import steps
    from phase3_mlops_core.retraining.sales import known_sales

    version = registry.numbered(number) if number else registry.named(CHALLENGER)
    if version is None:
        raise GateError("there is no challenger: `phase3 train` makes one")
    known = known_sales(settings.home, pd.Period(version.tags["month"], "M"), file)
    return version, steps.evaluate(registry, known, version, out / _report_name(version), _say, seed)


def _promote(registry: Registry, number: int | None, as_of: str | None, why: str | None) -> Done:
    from phase3_mlops_core.retraining import steps

    return steps.promote(registry, registry.numbered(number) if number else None, as_of, why, _say)


def _show_judgement(registry: Registry, version: Version, found: Judgement, as_json: bool) -> None:
    from phase3_mlops_core.gate.report import figures, table

    next_step = "\nNext: phase3 promote" if found.passed else "\nThe champion stays."
    page = f"{registry.run_page(version)}/artifacts/{_report_name(version)}/gate.html"
    _print(figures(found) | {"report_page": page}, as_json, f"{table(found)}{next_step}")


def _report_name(version: Version) -> str:
    return f"gate-{version.model_version}"


def _promoted_before(done: Done) -> str:
    return f"Nothing to do: {done.version} was promoted on the sales of {done.version.tags['promoted_as_of']}."


def _version_entry(registry: Registry, done: Done) -> dict[str, Any]:
    version, page = done.version, registry.run_page(done.version)
    return {"version": version.number, "repeated": done.repeated, "run_page": page, **version.tags}


def _again(done: Done) -> str:
    return "Done before, nothing changed: " if done.repeated else ""


def _print(entry: Any, as_json: bool, text: str) -> None:
    click.echo(json.dumps(entry, indent=1, ensure_ascii=False) if as_json else text)


def _say(text: str) -> None:
    click.echo(text, err=True)


def _settings() -> PipelineSettings:
    from phase3_mlops_core.settings import pipeline_settings

    return pipeline_settings()


def _name(month: dt.datetime) -> str:
    return f"{month:%Y-%m}"


def _period(month: dt.datetime) -> pd.Period:
    import pandas as pd

    return pd.Period(_name(month), "M")
