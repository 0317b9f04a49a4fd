"""The charts, in one look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RED, GREEN, GREY = "#c2410c", "#0f766e", "#6b7280"
INK, QUIET = "#1f2937", "#6b7280"

# For each label: median absolute errors in %, one a period, and the line's colour.
Lines = Mapping[str, tuple[Sequence[float], str]]


def draw_errors(periods: Sequence[str], lines: Lines, title: str, path: Path) -> None:
    """Draw one line a label over the periods (`2012` or `2012-01`), each labelled where it ends."""
    # Here, because matplotlib looks for fonts and writes a list of them as soon as it is imported.
    import matplotlib as mpl
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, YearLocator, date2num
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    days = np.array(periods, dtype="datetime64[D]")
    with mpl.rc_context({"font.size": 11}):
        figure = Figure(figsize=(10, 5.2), dpi=144, layout=ConstrainedLayoutEngine(w_pad=0.25, h_pad=0.25))
        axes = figure.add_subplot()
        for errors, colour in lines.values():
            axes.plot(days, errors, color=colour, linewidth=2.4, marker="o" if len(days) <= 12 else None)
        axes.margins(x=0.01)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0f} %")
        locator = YearLocator() if len(periods[0]) == 4 or len(days) > 24 else AutoDateLocator()
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.grid(axis="y", color="#e5e7eb")
        axes.tick_params(colors=QUIET, length=0, pad=8)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color("#d1d5db")
        axes.set_title(title, loc="left", color=INK, fontsize=16, fontweight="bold", pad=28)
        subtitle = "How far prices were from the price paid: median absolute error"
        axes.text(0, 1.035, subtitle, transform=axes.transAxes, color=QUIET)
        _label_ends(axes, float(date2num(days[-1])), lines)
        figure.savefig(path)


def _label_ends(axes: Axes, day: float, lines: Lines) -> None:
    """Write each label beside its line's end, moved down where two would touch."""
    gap = axes.get_ylim()[1] / 9
    height = float("inf")
    for label, (errors, colour) in sorted(lines.items(), key=lambda line: -line[1][0][-1]):
        height = min(errors[-1], height - gap)
        axes.annotate(
            f"{label}\n{errors[-1]:.0f} %",
            (day, height),
            xytext=(10, 0),
            textcoords="offset points",
            color=colour,
            fontweight="bold",
            va="center",
            annotation_clip=False,
        )
