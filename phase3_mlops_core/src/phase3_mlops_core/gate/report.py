"""Write what the gate found: a table for the terminal, JSON for programs, a chart and a page for people."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from phase3_mlops_core.gate.compare import Scored
from phase3_mlops_core.gate.judge import Judgement

# What each figure of gate.toml is, in a person's words.
MEANINGS = {
    "sales": "sales compared on",
    "gain_pct": "error smaller by, %",
    "gain_low_pct": "and at least by, %",
    "worst_area_gain_pct": "in its worst area, %",
    "worst_price_band_gain_pct": "in its worst price third, %",
    "coverage_low": "share inside the interval",
    "coverage_high": "the same",
    "off_by_pct": "median error, %",
    "beats_baseline_pct": "better than the baseline by, %",
    "refit_moved_pct": "refit moves prices by, %",
    "refit_width_ratio": "refit's intervals, times as wide",
    "served_off_cents": "served against offline, cents",
    "artifact_mb": "size, MB",
    "predict_ms": "time of one price, ms",
}


def table(judgement: Judgement) -> str:
    """The decision, both models, and a line a check, for the terminal."""
    lines = [_model_line("challenger", judgement.challenger)]
    if judgement.champion:
        lines.append(_model_line("champion", judgement.champion))
    lines.append("")
    for check in judgement.checks:
        mark = "✓" if check.holds else "✗"
        lines.append(f"  {mark} {MEANINGS[check.name]:34}{check.value:>10.4g}   {check.threshold.bound}")
    return "\n".join([*lines, "", judgement.why])


def figures(judgement: Judgement) -> dict[str, Any]:
    """Everything the report says, as plain data."""
    return {
        "month": judgement.month,
        "passed": judgement.passed,
        "why": judgement.why,
        "challenger": _figures_of(judgement.challenger),
        "champion": judgement.champion and _figures_of(judgement.champion),
        "checks": {
            check.name: {"value": check.value, "bound": check.threshold.bound, "holds": check.holds}
            for check in judgement.checks
        },
        "gain_high_pct": judgement.gain and judgement.gain.high_pct,
        "gain_pct_by_area": dict(judgement.areas),
        "gain_pct_by_price_band": dict(judgement.price_bands),
    }


def write_report(judgement: Judgement, folder: Path) -> None:
    """Write gate.json, gate.png and gate.html into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gate.json").write_text(json.dumps(figures(judgement), indent=1) + "\n", encoding="utf-8")
    draw(judgement, folder / "gate.png")
    page = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    rows = [
        f"<tr class={'holds' if c.holds else 'broken'}><th scope=row>{escape(MEANINGS[c.name])}<td>{c.value:.4g}"
        f"<td>{escape(c.threshold.bound)}<td>{escape(c.threshold.why)}"
        for c in judgement.checks
    ]
    html = page.substitute(
        title=f"{'Passed' if judgement.passed else 'Refused'}: {escape(judgement.challenger.model_version)}",
        why=escape(judgement.why),
        rows="\n".join(rows),
        chart=base64.b64encode((folder / "gate.png").read_bytes()).decode(),
    )
    (folder / "gate.html").write_text(html, encoding="utf-8")


def draw(judgement: Judgement, path: Path) -> None:
    """Draw how the absolute errors of both models are distributed over the sales: the upper line is the better."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for name, scored, colour in (
        ("challenger", judgement.challenger, "#0f766e"),
        ("champion", judgement.champion, "#c2410c"),
    ):
        if scored:
            errors = np.sort(np.abs(np.expm1(scored.log_errors))) * 100
            axes.plot(errors, np.arange(1, len(errors) + 1) / len(errors) * 100, color=colour, label=name)
    axes.set(xlim=(0, 60), ylim=(0, 100), xlabel="off by at most, %", ylabel="of the sales, %")
    axes.set_title(f"{judgement.sales} sales of {judgement.month}", loc="left")
    axes.legend(loc="lower right")
    axes.grid(color="#e5e7eb")
    figure.savefig(path)


def _model_line(role: str, scored: Scored) -> str:
    return (
        f"{role:11} {scored.model_version:26} off by {scored.median_abs_error_pct:.1f} %, "
        f"{scored.coverage:.0%} inside the interval"
    )


def _figures_of(scored: Scored) -> dict[str, Any]:
    return {
        "model_version": scored.model_version,
        "median_abs_error_pct": round(scored.median_abs_error_pct, 3),
        "mean_abs_log_error": round(scored.mean_abs_log_error, 5),
        "coverage": round(scored.coverage, 4),
    }
