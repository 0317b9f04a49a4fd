"""Measure every peer in turn, print a table, and fail when ours is not as good as it should be."""

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

from benchmarks.chart import draw
from benchmarks.environments import activated, installed_mb, make
from benchmarks.floors import CONNECTIONS, FLOORS, Measured
from benchmarks.measure import BATCHES, PROCESS, ROWS, BenchmarkError, Figures, free_cores, measure
from benchmarks.peers import FOLDER, OURS, PEERS, ROOT, Peer

BUSY = 0.9
SALES = ROOT / "data" / "seattle_sales_2010_2016.parquet"
# Titles of the table's columns: a figure of each number of connections, of the process, of each size of batch.
LOADS = {
    "requests_per_s": ("requests/s", ",.0f"),
    "p50_ms": ("p50 ms", ",.1f"),
    "p99_ms": ("p99 ms", ",.1f"),
    "cpu_us_per_request": ("CPU µs a request", ",.0f"),
}
PROCESSES = {
    "memory_mb": ("memory MB", ",.0f"),
    "installed_mb": ("installed MB", ",.0f"),
    "start_s": ("start s", ".2f"),
    "start_cpu_s": ("start CPU s", ".2f"),
}


def main() -> int:
    """Give 0 when every floor is held, 1 when one is missed or a peer failed, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=4, help="length of one load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds; the median counts (%(default)s)")
    parser.add_argument("--peers", type=chosen, default=PEERS, metavar="NAME,NAME", help=f"some of: {_names()}")
    parser.add_argument("--out", type=Path, default=ROOT / "reports" / "bench", help="folder of the results")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = summary(run(asked.peers, asked.rounds, asked.seconds))
    except KeyboardInterrupt:
        say("stopped; nothing was written")
        return 130
    except (BenchmarkError, subprocess.CalledProcessError) as error:
        say(f"✗ {error}")
        return 1
    return conclude(report, asked.out)


def _names() -> str:
    return ", ".join(peer.name for peer in PEERS)


def chosen(names: str) -> tuple[Peer, ...]:
    """Give the peers whose names hold one of these words, in their order here."""
    found: dict[str, Peer] = {}
    for name in names.lower().split(","):
        exact = [peer for peer in PEERS if name.strip() == peer.name.lower()]
        fits = exact or [peer for peer in PEERS if name.strip() in peer.name.lower()]
        if not fits:
            raise argparse.ArgumentTypeError(f"no peer is called {name!r}; there are: {_names()}")
        found |= {peer.name: peer for peer in fits}
    return tuple(found.values())


def run(peers: tuple[Peer, ...], rounds: int, seconds: float) -> dict[str, list[dict[str, Figures]]]:
    """Take the peers in turn each round, so that a slow minute of the machine meets them alike."""
    for peer in peers:
        if make(peer):
            say(f"installed {peer.name}: {installed_mb(peer):,.0f} MB")
    taken: dict[str, list[dict[str, Figures]]] = {peer.name: [] for peer in peers}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        _prepare(peers, Path(name))
        for number in range(1, rounds + 1):
            for peer in peers:
                figures = measure(peer, Path(name), CONNECTIONS, seconds)
                figures[PROCESS]["installed_mb"] = installed_mb(peer)
                taken[peer.name].append(figures)
                rates = ", ".join(f"{figures[str(n)]['requests_per_s']:,.0f}/s at {n}" for n in CONNECTIONS)
                say(f"round {number} of {rounds}: {peer.name}: {rates}")
    return taken


def _prepare(peers: tuple[Peer, ...], folder: Path) -> None:
    say("training on the sales of 2010 and 2011")
    train = [sys.executable, "-m", "benchmarks.prepare", str(SALES), str(folder)]
    subprocess.run(train, cwd=ROOT, check=True, start_new_session=True)  # noqa: S603 - our own
    for peer in peers:
        if peer.prepare:
            say(f"giving the model to {peer.name}")
            program = ["python", str(FOLDER / peer.prepare)]
            subprocess.run(  # noqa: S603 - our own
                program, cwd=folder, env=activated(peer), check=True, capture_output=True, start_new_session=True
            )


def summary(taken: dict[str, list[dict[str, Figures]]]) -> dict[str, Any]:
    """Take the median of each figure over the rounds."""
    return {
        "machine": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "cores": "one for the server, one for the client" if free_cores() else "not pinned (cannot be, here)",
        "rounds": max(map(len, taken.values())),
        "peers": {
            name: {part: _medians([one[part] for one in rounds]) for part in rounds[0]}
            for name, rounds in taken.items()
        },
    }


def _medians(rounds: list[Figures]) -> Figures:
    return {name: round(median(one[name] for one in rounds), 4) for name in rounds[0]}


def conclude(report: dict[str, Any], out: Path) -> int:
    """Write the table, the chart and the figures, print the table, and say which floors are held."""
    measured: Measured = report["peers"]
    verdicts = [floor.verdict(measured) for floor in FLOORS] if OURS in measured else []
    report["floors"] = [line for _, line in verdicts]
    table = as_table(report)
    out.mkdir(parents=True, exist_ok=True)
    (out / "figures.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    (out / "table.md").write_text("\n".join([table, "", *(f"- {line}" for line in report["floors"]), ""]))
    draw(measured, out / "chart.png")
    print(table)
    for doubt in doubts(measured):
        say(f"! {doubt}")
    for _, line in verdicts:
        say(line)
    return int(not all(held for held, _ in verdicts))


def as_table(report: dict[str, Any]) -> str:
    """Write the figures as Markdown, one row a peer."""
    loads, batches = " / ".join(map(str, CONNECTIONS)), " / ".join(f"{rows:,}" for rows in ROWS)
    titles = [
        "served by",
        *(f"{title}, {loads}" for title, _ in LOADS.values()),
        *(title for title, _ in PROCESSES.values()),
        f"rows/s, {batches} at a time",
    ]
    rows = [titles, ["---", *["---:"] * (len(titles) - 1)]]
    rows += [[name, *_cells(parts)] for name, parts in report["peers"].items()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += ["", f"{report['machine']}; cores: {report['cores']}; medians of {report['rounds']} rounds."]
    return "\n".join(lines)


def _cells(parts: dict[str, Figures]) -> list[str]:
    cells = [" / ".join(format(parts[str(n)][key], form) for n in CONNECTIONS) for key, (_, form) in LOADS.items()]
    cells += [format(parts[PROCESS][key], form) for key, (_, form) in PROCESSES.items()]
    batches = parts.get(BATCHES)
    return [*cells, " / ".join(f"{batches[f'rows_per_s_of_{rows}']:,.0f}" for rows in ROWS) if batches else "–"]


def doubts(measured: Measured) -> list[str]:
    """What makes the figures doubtful."""
    found = []
    for name, parts in measured.items():
        for n in CONNECTIONS:
            client, server = (parts[str(n)][f"{side}_cpu_share"] for side in ("client", "server"))
            if client > BUSY:
                found.append(f"{name} at {n}: the client itself was {client:.0%} busy; the server may be faster")
            if server < BUSY:
                found.append(f"{name} at {n}: the server had {server:.0%} of a core; was the machine busy?")
    return found


def say(line: str) -> None:
    """Tell how it goes, apart from the result."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
