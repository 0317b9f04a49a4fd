"""Measure a model without a service: CPU and memory of a start, and microseconds a prediction takes.

From the repository's root:  .venv/bin/python -m benchmarks.start models/phase1/current
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

SIZES = (1, 8, 16, 32, 1000, 10_000)
ROUNDS = 20


def main(folder: Path) -> None:
    """Print what importing the service and loading the model took, then the shortest of some predictions a size."""
    import phase1_docker_api.service.app  # noqa: F401 - that is what is measured
    from phase1_docker_api.model.artifact import load_model

    model = load_model(folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(f"start: {used.ru_utime + used.ru_stime:.2f} s CPU, at most {used.ru_maxrss / 1024:.0f} MB")
    complete = [model.typical.complete(record) for record in model.calibration.records]
    for size in SIZES:
        records = (complete * (size // len(complete) + 1))[:size]
        shortest = min(_cpu_us(partial(model.fitted.predict, records)) for _ in range(ROUNDS))
        print(f"{size:6} houses: {shortest:9.0f} µs, {shortest / size:6.1f} a house")


def _cpu_us(work: Callable[[], object]) -> float:
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1000


if __name__ == "__main__":
    main(Path(sys.argv[1]))
