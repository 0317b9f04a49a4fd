"""Measure every peer in turn, print a table, and fail when ours is not as fast as it should be."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import BenchmarkError, Figures, free_cores, measure
from benchmarks.peers import CONSTANT, NAIVE, OURS, PEERS, ROOT

# Ours over naive, in requests a second, by number of connections.
FLOORS = {8: 10.0, 32: 15.0}
BUSY = 0.9
SALES = ROOT / "data" / "seattle_sales_2010_2016.parquet"
COLUMNS = {
    "requests_per_s": ("requests/s", ",.0f"),
    "p50_ms": ("p50 ms", ",.2f"),
    "p99_ms": ("p99 ms", ",.2f"),
    "cpu_us_per_request": ("CPU µs a request", ",.0f"),
    "memory_mb": ("memory MB", ",.0f"),
    "start_s": ("start s", ".2f"),
    "start_cpu_s": ("start CPU s", ".2f"),
}


def main() -> int:
    """Give 0 when every floor is held, 1 when one is missed or a peer failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="length of one load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median counts (%(default)s)")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "bench", help="folder of the results")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON, not as a table")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = summary(run(asked.rounds, asked.seconds))
    except KeyboardInterrupt:
        say("stopped; nothing was written")
        return 130
    except (BenchmarkError, subprocess.CalledProcessError) as error:
        say(f"✗ {error}")
        return 1
    figures, table = json.dumps(report, indent=2), as_table(report)
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "figures.json").write_text(f"{figures}\n")
    (asked.out / "table.md").write_text(f"{table}\n")
    print(figures if asked.json else table)
    return verdict(report)


def run(rounds: int, seconds: float) -> dict[str, list[list[Figures]]]:
    """Take the peers in turn each round, so that a slow minute of the machine meets them alike."""
    taken: dict[str, list[list[Figures]]] = {peer.name: [] for peer in PEERS}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        say("training on the sales of 2010 and 2011")
        prepare = [sys.executable, "-m", "benchmarks.prepare", str(SALES), name]
        subprocess.run(prepare, cwd=ROOT, check=True)  # noqa: S603 - our own
        for number in range(1, rounds + 1):
            for peer in PEERS:
                process, *loads = measure(peer, Path(name), list(FLOORS), seconds)
                taken[peer.name].append([process, *loads])
                rates = ", ".join(f"{f['requests_per_s']:,.0f}/s at {n}" for n, f in zip(FLOORS, loads, strict=True))
                say(f"round {number} of {rounds}: {peer.name}: {rates}")
    return taken


def summary(taken: dict[str, list[list[Figures]]]) -> dict[str, Any]:
    """Take the median of each figure over the rounds, and the ratios of those medians."""
    parts = ("process", *map(str, FLOORS))
    peers = {
        name: {part: _medians([one[i] for one in rounds]) for i, part in enumerate(parts)}
        for name, rounds in taken.items()
    }

    def ours_over(name: str, figure: str = "requests_per_s") -> Figures:
        return {n: peers[OURS][n][figure] / peers[name][n][figure] for n in map(str, FLOORS)}

    return {
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "cores": "one for the server, one for the client" if free_cores() else "not pinned (cannot be, here)",
        "rounds": len(taken[OURS]),
        "peers": peers,
        "ours_over_naive": ours_over(NAIVE),
        "ours_over_constant": ours_over(CONSTANT),
        "ours_over_naive_cpu": ours_over(NAIVE, "cpu_us_per_request"),
    }


def _medians(rounds: list[Figures]) -> Figures:
    return {name: round(median(one[name] for one in rounds), 4) for name in rounds[0]}


def as_table(report: dict[str, Any]) -> str:
    """Write the figures as Markdown, one row a peer and number of connections."""
    titles = ["served by", "connections", *(title for title, _ in COLUMNS.values())]
    rows = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    for name, parts in report["peers"].items():
        for n in map(str, FLOORS):
            figures = parts["process"] | parts[n]
            rows.append([name, n, *(format(figures[key], form) for key, (_, form) in COLUMNS.items())])
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    for n in map(str, FLOORS):
        naive, constant = report["ours_over_naive"][n], report["ours_over_constant"][n]
        lines += ["", f"At {n} connections ours answers {naive:.1f}× as many as naive, {constant:.2f}× a constant;"]
        lines += [f"a request takes 1/{1 / report['ours_over_naive_cpu'][n]:.1f} of naive's CPU time."]
    lines += ["", f"{report['machine']}; cores: {report['cores']}; rounds: {report['rounds']}."]
    return "\n".join(lines)


def verdict(report: dict[str, Any]) -> int:
    """Say what makes the figures doubtful, and whether the floors are held."""
    for name, parts in report["peers"].items():
        for n in map(str, FLOORS):
            if (share := parts[n]["client_cpu_share"]) > BUSY:
                say(f"! {name} at {n}: the client itself was {share:.0%} busy; the server may be faster")
            if (share := parts[n]["server_cpu_share"]) < BUSY:
                say(f"! {name} at {n}: the server had {share:.0%} of a core; was the machine busy?")
    missed = 0
    for connections, floor in FLOORS.items():
        ratio = report["ours_over_naive"][str(connections)]
        missed += ratio < floor
        mark = "✓" if ratio >= floor else "✗"
        say(f"{mark} at {connections} connections ours is {ratio:.1f}× naive; the floor is {floor:.0f}×")
    return int(missed > 0)


def say(line: str) -> None:
    """Tell how it goes, apart from the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
