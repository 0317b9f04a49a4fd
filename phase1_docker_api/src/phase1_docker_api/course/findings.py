"""What a check found: one line a finding, a sum at the end, or JSON for scripts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "yellow")}


@dataclass(frozen=True)
class Finding:
    """One line: what was checked, whether it holds (None: could not be checked), what was seen, what helps."""

    name: str
    holds: bool | None
    seen: str
    hint: str = ""


def show(findings: Iterable[Finding], as_json: bool) -> list[Finding]:
    """Print each finding as soon as it is there, or all of them as JSON; return them."""
    shown = []
    for finding in findings:
        shown.append(finding)
        if not as_json:
            _show_line(finding)
    if as_json:
        click.echo(json.dumps([vars(finding) for finding in shown], indent=1, ensure_ascii=False))
    return shown


def sum_of(findings: Sequence[Finding]) -> str:
    """Say how many hold, as in `8 of 9 hold, 1 could not be checked`."""
    held, unknown = (sum(finding.holds is wanted for finding in findings) for wanted in (True, None))
    return f"{held} of {len(findings)} hold" + (f", {unknown} could not be checked" if unknown else "")


def _show_line(finding: Finding) -> None:
    mark, colour = MARKS[finding.holds]
    click.echo(f"{click.style(mark, fg=colour)} {finding.name:18} {finding.seen}")
    if finding.hint and not finding.holds:
        click.echo(f"  {'':18} {click.style('→ ' + finding.hint, bold=True)}")
