"""Write what a replay found: figures for programs, a chart for the eye, a page to pass on."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from statistics import fmean, median
from string import Template

from phase1_docker_api.course.charts import GREEN, RED, draw_errors
from phase1_docker_api.course.replay import Month


def write_report(months: Sequence[Month], source: str, folder: Path) -> str:
    """Write figures.json, chart.png and report.html on sales from `source`; return in one sentence what they show."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps([_entry(month) for month in months], indent=1) + "\n")
    _draw(months, folder / "chart.png")
    finding = say_finding(months)
    page = Template(files(__package__).joinpath("report.html").read_text(encoding="utf-8"))
    chart = base64.b64encode((folder / "chart.png").read_bytes()).decode()
    html = page.substitute(
        finding=finding,
        chart=chart,
        rows="\n".join(_rows(months)),
        source=escape(source),
        versions=", ".join(dict.fromkeys(m.retrained.model_version for m in months)),
    )
    (folder / "report.html").write_text(html, encoding="utf-8")
    return finding


def say_finding(months: Sequence[Month]) -> str:
    """One sentence with the figures of the first and the last year."""
    first, last = (_yearly(months)[i] for i in (0, -1))
    return (
        f"The frozen model was off by {first['frozen']:.1f} % in {first['year']} and by {last['frozen']:.1f} % in "
        f"{last['year']}; retrained each January, it was off by {last['retrained']:.1f} % in {last['year']}."
    )


def _draw(months: Sequence[Month], path: Path) -> None:
    lines = {
        f"frozen before {months[0].month[:4]}": ([m.frozen.median_abs_error_pct for m in months], RED),
        "retrained each January": ([m.retrained.median_abs_error_pct for m in months], GREEN),
    }
    draw_errors([m.month for m in months], lines, "The market moves, the frozen model does not", path)


def _entry(month: Month) -> dict[str, object]:
    entry: dict[str, object] = {"month": month.month, "sales": month.sales}
    for name, served in (("frozen", month.frozen), ("retrained", month.retrained)):
        entry |= {
            f"{name}_model_version": served.model_version,
            f"{name}_median_abs_error_pct": served.median_abs_error_pct,
            f"{name}_coverage": served.coverage,
        }
    return entry


def _yearly(months: Sequence[Month]) -> list[dict[str, float]]:
    """The same figures over all sales of each year."""
    return [
        {"year": int(year), "sales": sum(month.sales for month in of_year)}
        | {name: median(_pooled("abs_errors_pct", name, of_year)) for name in ("frozen", "retrained")}
        | {f"{name}_coverage": 100 * fmean(_pooled("held", name, of_year)) for name in ("frozen", "retrained")}
        for year, group in groupby(months, key=lambda month: month.month[:4])
        for of_year in [list(group)]
    ]


def _pooled(figure: str, name: str, months: Sequence[Month]) -> list[float]:
    """One service's figures of all sales of these months."""
    return [value for month in months for value in getattr(getattr(month, name), figure)]


def _rows(months: Sequence[Month]) -> list[str]:
    return [
        f"<tr><th scope=row>{y['year']}<td>{y['sales']:,}<td>{y['frozen']:.1f} %<td>{y['retrained']:.1f} %"
        f"<td>{y['frozen_coverage']:.0f} %<td>{y['retrained_coverage']:.0f} %</tr>"
        for y in _yearly(months)
    ]
