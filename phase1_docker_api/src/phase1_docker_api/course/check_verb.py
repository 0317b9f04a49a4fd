"""What the verb `check` of every phase does: check the whole phase, check one exercise, or give a hint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain

import click

from phase1_docker_api.course.exercises import Exercise, Exercises
from phase1_docker_api.course.findings import Finding, show, sum_of


def check_phase_or_exercise(
    of_phase: Iterable[Finding],
    exercises: Exercises,
    exercise: int | None,
    hint: int | None,
    as_json: bool,
    environ: Mapping[str, str] | None = None,
) -> int:
    """Show what was asked for; return the exit code: 1 when a line is ✗, or when the one exercise is not done.

    `environ` is added to the environment of an exercise's check.
    """
    if exercise is None and hint is None:
        return show_phase(of_phase, exercises, as_json)
    chosen = _chosen(exercises, exercise)
    if hint is not None:
        click.echo("\n".join(chosen.hint(hint).values()))
        return 0
    [finding] = show([exercises.check(chosen, environ)], as_json)
    return 0 if finding.holds else 1


def show_phase(of_phase: Iterable[Finding], exercises: Exercises, as_json: bool) -> int:
    """Show each finding of a phase, their sum, and one line for the exercises, which do not count."""
    summary = exercises.summary()
    if as_json:
        findings = show(chain(of_phase, [summary]), as_json)
    else:
        findings = show(of_phase, as_json)
        click.echo(f"\n{sum_of(findings)}\n{summary.name}: {summary.seen}")
    return 1 if any(finding.holds is False for finding in findings) else 0


def _chosen(exercises: Exercises, number: int | None) -> Exercise:
    known = exercises.find()
    if number is None or number not in known:
        raise click.UsageError(f"which exercise? --exercise {min(known)} to {max(known)}")
    return known[number]
