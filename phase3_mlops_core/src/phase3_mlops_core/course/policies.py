"""Replay several policies side by side, and lay their figures out as tables."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from phase1_docker_api.course.charts import draw_errors

from phase3_mlops_core.course.replay import FIRST, LAST, Month, Policy, live
from phase3_mlops_core.gate.judge import Judgement

POLICIES = {
    policy.name: policy
    for policy in (
        Policy("never"),
        *(Policy(when, months) for when in ("trigger", "gate", "monthly") for months in (6, 12, 24, 0)),
        Policy("gate", 6, serve_refit=False),
    )
}
# What takes some minutes; the others are named with --policy.
USUAL = ("never", "trigger-6", "trigger-12", "gate-6", "monthly-6")
COLOURS = ("#c2410c", "#0f766e", "#1d4ed8", "#a16207", "#7e22ce", "#6b7280")


@dataclass(frozen=True)
class Lived:
    """A policy's figures over all months, and by year."""

    name: str
    fits: int
    off_by_pct: float
    by_year: Mapping[str, float]
    coverage: float
    months: Sequence[Month]


def replay_policies(sales: pd.DataFrame, names: Sequence[str], first: str = FIRST, last: str = LAST) -> Iterator[Lived]:
    """Live each policy in a process of its own, a core each; give each as soon as it is done."""
    processes = min(len(names), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        doing = [pool.submit(_live, sales, name, first, last) for name in names]
        for done in as_completed(doing):
            yield done.result()


def _live(sales: pd.DataFrame, name: str, first: str, last: str) -> Lived:
    return summary(name, list(live(sales, POLICIES[name], first, last)))


def summary(name: str, months: Sequence[Month]) -> Lived:
    """Pool the errors of all sales: a month of many sales counts for more."""
    years = sorted({month.month[:4] for month in months})
    held = np.concatenate([np.abs(month.log_errors) <= month.half_widths for month in months])
    return Lived(
        name,
        months[-1].fits,
        _off_by(months),
        {year: _off_by([month for month in months if month.month.startswith(year)]) for year in years},
        float(np.mean(held)),
        months,
    )


def table(lived: Sequence[Lived]) -> str:
    """One line a policy, in Markdown, which a terminal shows well enough."""
    years = list(lived[0].by_year)
    lines = [f"| policy | fits | off by, % | {' | '.join(years)} | inside |", "|---|" + "---:|" * (len(years) + 3)]
    for one in lived:
        by_year = " | ".join(f"{error:.1f}" for error in one.by_year.values())
        lines.append(f"| {one.name} | {one.fits} | {one.off_by_pct:.1f} | {by_year} | {one.coverage:.0%} |")
    return "\n".join(lines)


def decisions(one: Lived) -> str:
    """What the gate decided in each month, with its figures, in Markdown."""
    lines = [
        "| month | sales | off by, % | error smaller by, % | at least | decision |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for month in one.months:
        seen = _decision(month.judgement) if month.judgement else "| | | no newer challenger"
        lines.append(f"| {month.month} | {len(month.log_errors)} | {_off_by([month]):.1f} {seen} |")
    return "\n".join(lines)


def _decision(found: Judgement) -> str:
    broken = [check.name for check in found.checks if not check.holds]
    said = "promoted" if found.passed else f"refused: {', '.join(broken)}"
    return f"| {found.figures['gain_pct']:.1f} | {found.figures['gain_low_pct']:.1f} | {said}"


def write(lived: Sequence[Lived], folder: Path) -> None:
    """Write replay.json, replay.md and replay.png into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "replay.json").write_text(json.dumps([_entry(one) for one in lived], indent=1) + "\n")
    gated = [f"\n## {one.name}\n\n{decisions(one)}\n" for one in lived if one.name.startswith("gate")]
    (folder / "replay.md").write_text(table(lived) + "\n" + "".join(gated))
    years = list(lived[0].by_year)
    lines = {one.name: (list(one.by_year.values()), COLOURS[i % len(COLOURS)]) for i, one in enumerate(lived[:6])}
    draw_errors(years, lines, "What each policy of retraining buys", folder / "replay.png")


def _entry(one: Lived) -> dict[str, Any]:
    months = [
        {
            "month": month.month,
            "sales": len(month.log_errors),
            "off_by_pct": round(_off_by([month]), 2),
            "fits": month.fits,
            "retrained": month.retrained,
            "gate": month.judgement and month.judgement.figures,
        }
        for month in one.months
    ]
    return {"policy": one.name, "fits": one.fits, "off_by_pct": round(one.off_by_pct, 2),
            "by_year": dict(one.by_year), "coverage": round(one.coverage, 4), "months": months}  # fmt: skip


def _off_by(months: Sequence[Month]) -> float:
    return float(np.median(np.abs(np.expm1(np.concatenate([month.log_errors for month in months]))))) * 100
