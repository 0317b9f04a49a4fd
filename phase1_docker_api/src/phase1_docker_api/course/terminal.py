"""What the commands show a person on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from phase1_docker_api.course.replay import Month
    from phase1_docker_api.model.house_model import Score
    from phase1_docker_api.schemas import Estimate

MONTH_HEAD = f"  {'month':8}{'sales':>6}  {'frozen: off by':32}retrained: off by"


def estimate_lines(estimate: Estimate) -> str:
    """One estimate: price and interval, what was assumed, what to be wary of."""
    interval = estimate.interval_usd
    return "\n".join([
        f"${estimate.price_usd:,.0f}, {interval.level:.0%} between ${interval.low:,.0f} and ${interval.high:,.0f}",
        f"assumed: {', '.join(f'{name}={value}' for name, value in estimate.assumed.items()) or 'nothing'}",
        *(f"warning: {warning.message}" for warning in estimate.warnings),
    ])  # fmt: skip


def score_table(scores: list[Score]) -> str:
    """One line a period and kind of request."""
    lines = [f"{'period':8} {'request':9} {'sales':>6} {'off by':>8} {'RMSLE':>6} {'R²':>6} {'MAE':>9} {'covered':>8}"]
    for s in scores:
        covered = "" if s.coverage is None else f"{s.coverage:.1%}"
        lines.append(
            f"{s.period:8} {s.request:9} {s.sales:>6,} {s.median_abs_error_pct:>6.1f} % {s.rmsle:>6.3f} {s.r2:>6.2f} "
            f"{s.mae_usd:>9,.0f} {covered:>8}"
        )
    lines.append("off by: median absolute % error · covered: share inside its interval")
    return "\n".join(lines)


def month_line(month: Month) -> str:
    """One month of a replay, with a bar for each of the two models."""
    bars = [
        click.style(f"{'█' * round(served.median_abs_error_pct / 2)}", fg=colour)
        + f" {served.median_abs_error_pct:.1f} %"
        + " " * (24 - round(served.median_abs_error_pct / 2))
        for served, colour in ((month.frozen, "red"), (month.retrained, "green"))
    ]
    return f"  {month.month:8}{month.sales:>6,}  {bars[0]}{bars[1]}".rstrip()
