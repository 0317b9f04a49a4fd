"""Draw requests a second beside the slowest answers, one row a peer, in the look of phase 1's charts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phase1_docker_api.course.charts import GREEN, GREY, INK, QUIET

from benchmarks.floors import CONNECTIONS, Measured
from benchmarks.peers import BARE, CONSTANT, OURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# They predict nothing: what the stack can do at most.
CEILINGS = (CONSTANT, BARE)


def draw(measured: Measured, path: Path) -> None:
    """Draw the figures at the most connections, the quickest peer on top."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    most = str(max(CONNECTIONS))
    loads = {name: parts[most] for name, parts in measured.items()}
    order = sorted(loads, key=lambda name: loads[name]["requests_per_s"])
    with mpl.rc_context({"font.size": 11}):
        engine = ConstrainedLayoutEngine(w_pad=0.2, h_pad=0.2)
        figure = Figure(figsize=(10, 1.9 + 0.5 * len(order)), dpi=144, layout=engine)
        rates, slowest = figure.subplots(1, 2, sharey=True)
        _bars(rates, {name: loads[name]["requests_per_s"] for name in order}, "Answers a second", "{:,.0f}")
        _bars(slowest, {name: loads[name]["p99_ms"] for name in order}, "99 of 100 are quicker than", "{:,.0f} ms")
        figure.suptitle(
            f"One core, {most} callers at a time", x=0.015, ha="left", color=INK, fontsize=16, fontweight="bold"
        )
        figure.savefig(path)


def _bars(axes: Axes, values: dict[str, float], title: str, form: str) -> None:
    bars = axes.barh(list(values), list(values.values()), color=[_colour(name) for name in values], height=0.62)
    axes.bar_label(bars, [form.format(value) for value in values.values()], padding=6, color=INK)
    axes.set_title(title, loc="left", color=QUIET, fontsize=11, pad=10)
    axes.set_xlim(0, 1.2 * max(values.values()))
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=INK, length=0, pad=6)
    axes.xaxis.set_visible(False)


def _colour(name: str) -> str:
    return GREEN if name == OURS else "#d1d5db" if name in CEILINGS else GREY
