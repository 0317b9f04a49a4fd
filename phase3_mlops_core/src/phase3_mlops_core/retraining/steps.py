"""The steps from a month of sales to a champion; each can be repeated, and then finds what is done already."""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from phase1_docker_api.model.artifact import load_model

from phase3_mlops_core.errors import GateError, RegistryError
from phase3_mlops_core.gate.judge import Candidate, Judgement, judge
from phase3_mlops_core.gate.report import write_report
from phase3_mlops_core.gate.thresholds import Threshold, read_thresholds
from phase3_mlops_core.registry import promotions
from phase3_mlops_core.registry.runs import log_report
from phase3_mlops_core.registry.versions import CHALLENGER, CHAMPION, SCORED, STAGING, Registry, Version
from phase3_mlops_core.retraining.recording import record
from phase3_mlops_core.retraining.sales import KnownSales
from phase3_mlops_core.training.monthly import Trained, train_month
from phase3_mlops_core.training.plan import MonthlyPlan

Say = Callable[[str], None]


@dataclass(frozen=True)
class Done:
    """The version that a step was about, and whether the step found its work done already."""

    version: Version
    repeated: bool


def train(registry: Registry, known: KnownSales, month: pd.Period, plan: MonthlyPlan, search: bool, say: Say) -> Done:
    """Train on the sales up to the month's end, register the result, and name it challenger."""
    trained = train_month(
        known.frame,
        month,
        plan,
        search=search,
        data_sha256=known.sha256,
        trained_at=dt.datetime.now(dt.UTC),
        say=say,
    )
    return register(registry, known, trained, say)


def register(registry: Registry, known: KnownSales, trained: Trained, say: Say) -> Done:
    """Register what a training made, unless the registry holds it, and name it challenger."""
    version = registry.find(trained.refit.card.model_version)
    repeated = version is not None
    if version is None:
        say("recording it in MLflow …")
        version = record(registry, trained, known)
    if registry.aliases().get(CHAMPION) != version.number:
        registry.name_as(CHALLENGER, version)
    return Done(version, repeated)


def evaluate(
    registry: Registry,
    known: KnownSales,
    version: Version,
    out: Path,
    say: Say,
    seed: int = 0,
    thresholds: Mapping[str, Threshold] | None = None,
) -> Judgement:
    """Compare a version with the champion on the sales of its month, write the report, and stage it if it passed.

    Raises:
        GateError: it is the champion already, or one of them has seen these sales.

    """
    champion = registry.named(CHAMPION)
    if champion and champion.number == version.number:
        raise GateError(f"{version} is the champion: there is nothing to compare it with")
    say(f"fetching {version} and {champion or 'no champion yet'}, and comparing them …")
    with tempfile.TemporaryDirectory(prefix="phase3-gate-") as place:
        served = registry.fetch(version, Path(place) / "served")
        scored = load_model(registry.fetch(version, Path(place) / "scored", SCORED))
        old = load_model(registry.fetch(champion, Path(place) / "champion")) if champion else None
        month = pd.Period(version.tags["month"], "M")
        candidate = Candidate(scored, load_model(served), served)
        found = judge(candidate, old, known.frame, month, thresholds or read_thresholds(), seed)
    _tell(registry, version, champion, found, out)
    return found


def _tell(registry: Registry, version: Version, champion: Version | None, found: Judgement, out: Path) -> None:
    """Write the report, then tag, then the alias: whoever sees the alias finds everything else there."""
    write_report(found, out)
    log_report(registry, version.run_id, out, {f"gate_{name}": value for name, value in found.figures.items()})
    against = str(champion.number) if champion else "none"
    verdict = "passed" if found.passed else "refused"
    registry.tag(version, gate=verdict, gate_why=found.why, gate_against=against)
    if found.passed:
        registry.name_as(STAGING, version)
    else:
        registry.unname(STAGING, version)


def promote(registry: Registry, version: Version | None, as_of: str | None, why: str | None, say: Say) -> Done:
    """Make the staged version, or the given one, champion: the log first, then the alias, then the story.

    A process that is killed in between leaves the old champion or the new one; the repeat finishes the work.

    Raises:
        GateError: nothing is staged, or the version has not passed the gate against today's champion.

    """
    log, home = promotions.read(registry.settings.home), registry.settings.home
    champion = registry.named(CHAMPION)
    version = version or registry.named(STAGING) or _unfinished(registry, log, champion)
    if version is None:
        raise GateError("no version is staged: `phase3 train` makes one, `phase3 evaluate` lets it pass or not")
    logged = bool(log) and log[-1].to_version == version.number
    repeated = logged and champion is not None and champion.number == version.number
    if not logged:
        _may_serve(version, champion)
        line = _promotion(registry, version, champion, log, as_of, why)
        promotions.append(home, line)
        say(f"wrote the decision to {promotions.log_file(home)}")
    _give_title(registry, version, promotions.read(home)[-1])
    return Done(version, repeated)


def _unfinished(registry: Registry, log: list[promotions.Promotion], champion: Version | None) -> Version | None:
    """The newest decision, if there is one: either the registry does not follow it yet, or all is done."""
    return registry.numbered(log[-1].to_version) if log else None


def _may_serve(version: Version, champion: Version | None) -> None:
    if "promoted_as_of" in version.tags:  # it has served before: a rollback
        return
    if version.tags.get("gate") != "passed":
        said = version.tags.get("gate_why", "it was not evaluated: `phase3 evaluate` does it")
        raise GateError(f"{version} has not passed the gate: {said}")
    against, now = version.tags.get("gate_against"), str(champion.number) if champion else "none"
    if against != now:
        raise GateError(
            f"{version} was compared with version {against}, but the champion is version {now}: evaluate it again"
        )


def _promotion(
    registry: Registry,
    version: Version,
    champion: Version | None,
    log: list[promotions.Promotion],
    as_of: str | None,
    why: str | None,
) -> promotions.Promotion:
    metrics = registry.metrics(version.run_id)
    return promotions.Promotion(
        as_of=as_of or max([version.tags["month"], *(line.as_of for line in log[-1:])]),
        decided_at=dt.datetime.now(dt.UTC),
        who=promotions.who_am_i(),
        from_version=champion and champion.number,
        to_version=version.number,
        model_version=version.model_version,
        why=why or version.tags.get("gate_why", "it has served before"),
        figures={name: value for name, value in metrics.items() if name.startswith("gate_")},
        data_sha256=version.tags["data_sha256"],
        run_id=version.run_id,
    )


def _give_title(registry: Registry, version: Version, line: promotions.Promotion) -> None:
    """What the registry shows of a decision in the log; doing it twice changes nothing."""
    registry.name_as(CHAMPION, version)
    registry.tag(version, promoted_as_of=line.as_of, promoted_by=line.who)
    if line.from_version is not None and line.from_version != version.number:
        with suppress(RegistryError):  # deleted since
            old = registry.numbered(line.from_version)
            registry.tag(old, retired_as_of=line.as_of, retired_for=str(version.number))
    for alias in (STAGING, CHALLENGER):
        registry.unname(alias, version)
