"""The floors: how much better than each peer ours has to be, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measure import BATCHES, PROCESS, ROWS, Figures
from benchmarks.peers import BENTOML, CONSTANT, MLFLOW, NAIVE, OURS, WATCHED

CONNECTIONS = (8, 32)

# For each peer its figures: of its process, of each number of connections, of its batches.
Measured = dict[str, dict[str, Figures]]


@dataclass(frozen=True)
class Floor:
    """Ours over a peer's, in one figure: at least `least` times, or at most `most` times."""

    part: str | int
    figure: str
    peer: str
    least: float = 0
    most: float = float("inf")

    def ratio(self, measured: Measured) -> float | None:
        """Ours over the peer's; none when one of them was not measured."""
        if not {OURS, self.peer} <= measured.keys():
            return None
        ours, theirs = (measured[name][str(self.part)][self.figure] for name in (OURS, self.peer))
        return ours / theirs

    def verdict(self, measured: Measured) -> tuple[bool, str]:
        """Whether it is held, and a line that says so."""
        ratio = self.ratio(measured)
        what = self.figure.replace("_per_s", "/s").replace("_", " ")
        where = f" at {self.part} connections" if isinstance(self.part, int) else ""
        bound = f"at least {self.least:g}×" if self.least else f"at most {self.most:.3g}×"
        if ratio is None:
            return True, f"– {what}{where}: {bound} {self.peer}; not measured"
        held = self.least <= ratio <= self.most
        return held, f"{'✓' if held else '✗'} {what}{where}: {ratio:.2f}× {self.peer} ({bound}{self._by_cpu(measured)})"

    def _by_cpu(self, measured: Measured) -> str:
        """Add to a rate, which a busy machine spoils, the same in CPU time, which it hardly does."""
        spent = self.figure.replace("requests_per_s", "cpu_us_per_request").replace("rows_per_s", "cpu_us_per_row")
        if spent == self.figure:
            return ""
        theirs, ours = (measured[name][str(self.part)][spent] for name in (self.peer, OURS))
        return f"; by CPU time {theirs / ours:.2f}×"


FLOORS = (
    Floor(8, "requests_per_s", NAIVE, least=12),
    Floor(32, "requests_per_s", NAIVE, least=18),
    *(Floor(n, "requests_per_s", MLFLOW, least=20) for n in CONNECTIONS),
    *(Floor(n, "requests_per_s", BENTOML, least=12) for n in CONNECTIONS),
    Floor(8, "requests_per_s", CONSTANT, least=0.45),
    Floor(32, "requests_per_s", CONSTANT, least=0.65),
    *(Floor(n, "p99_ms", NAIVE, most=0.1) for n in CONNECTIONS),
    Floor(PROCESS, "memory_mb", NAIVE, most=0.85),
    Floor(PROCESS, "memory_mb", MLFLOW, most=0.4),
    Floor(PROCESS, "installed_mb", NAIVE, most=0.85),
    Floor(PROCESS, "start_cpu_s", NAIVE, most=1),
    # What metrics and the version in each answer cost: a tenth at most.
    *(Floor(n, "cpu_us_per_request", WATCHED, least=0.9) for n in CONNECTIONS),
    *(Floor(BATCHES, f"rows_per_s_of_{rows}", NAIVE, least=1.8) for rows in ROWS),
)
