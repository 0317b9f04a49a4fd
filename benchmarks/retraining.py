"""Time `phase3 retrain` of one month, step by step, and measure the memory of Spark and MLflow when they are idle."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
from phase3_mlops_core.testing import MlflowServer, running_mlflow
from phase3_mlops_core.testing_spark import SparkServer, running_spark

FIRST = "2012-01"
IDLE_SECONDS = 10
MOST_SECONDS, MOST_MB = 25, 1400
CPU = ("the verb", "Spark", "MLflow")
PHASE3 = (sys.executable, "-m", "phase3_mlops_core")


def main() -> int:
    """Give 0 when both limits are kept, else 1; the time of a busy computer says little."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.retraining", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="months that are timed (%(default)s)")
    asked = parser.parse_args()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-retrain-")))
        (home / "spark").mkdir()
        (home / "mlflow").mkdir()
        spark = stack.enter_context(running_spark(home / "spark"))
        mlflow = stack.enter_context(running_mlflow(home / "mlflow"))
        environment = os.environ | client_of(spark, mlflow, home / "data")
        phase3(environment, "land", "--until", FIRST)
        servers = [spark.process, mlflow.process]
        totals = [retrain(environment, month, servers) for month in months(asked.rounds)]
        time.sleep(IDLE_SECONDS)
        memory = {"Spark": pss_mb(spark.process), "MLflow": pss_mb(mlflow.process)}
    best, megabytes = min(totals[1:]), sum(memory.values())
    print(
        f"\na month with both up: {best:.1f} to {max(totals[1:]):.1f} s, the first with all before it {totals[0]:.1f} s"
    )
    print(f"idle: {', '.join(f'{name} {mb:,.0f} MB' for name, mb in memory.items())}; together {megabytes:,.0f} MB")
    return int(best > MOST_SECONDS or megabytes > MOST_MB)


def months(rounds: int) -> list[str]:
    """Give the months to retrain: 2012-01, which prepares all months before it too, and those after it."""
    return [FIRST, *(f"2012-{number:02d}" for number in range(2, rounds + 2))]


def client_of(spark: SparkServer, mlflow: MlflowServer, home: Path) -> dict[str, str]:
    """Say in the environment where the servers are."""
    return {
        "SPARK_REMOTE": spark.remote,
        "PIPELINE_HOME": str(home),
        "PIPELINE_SPARK_REMOTE": spark.remote,
        "PIPELINE_MLFLOW_URL": mlflow.url,
        "PIPELINE_MLFLOW_PASSWORD": mlflow.password,
    }


def phase3(environment: dict[str, str], *words: str) -> None:
    """Run a verb to its end."""
    subprocess.run([*PHASE3, *words], env=environment, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own


def retrain(environment: dict[str, str], month: str, servers: list[psutil.Process]) -> float:
    """Land the month, retrain, and print after how many seconds each step began; give the seconds of all."""
    phase3(environment, "land", month)
    before = cpu_s(servers)
    print(f"\nphase3 retrain --month {month}")
    with tempfile.TemporaryDirectory() as out:
        command = [*PHASE3, "retrain", "--month", month, "--out", out]
        started = time.monotonic()
        with subprocess.Popen(  # noqa: S603 - our own
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        ) as process:
            for seconds, line in timed(process, started):
                print(f"{seconds:6.1f} s  {line}")
        seconds = time.monotonic() - started
    if process.returncode:
        raise SystemExit(process.returncode)
    used = [f"{name} {now - then:.1f}" for name, now, then in zip(CPU, cpu_s(servers), before, strict=True)]
    print(f"{seconds:6.1f} s  done; seconds of CPU: {', '.join(used)}")
    return seconds


def cpu_s(servers: list[psutil.Process]) -> list[float]:
    """Seconds of CPU that the verbs, Spark and MLflow have used; they hold on a busy computer too."""
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    families = [[server, *server.children(recursive=True)] for server in servers]
    return [ours.ru_utime + ours.ru_stime, *(sum(sum(one.cpu_times()[:2]) for one in family) for family in families)]


def timed(process: subprocess.Popen[str], started: float) -> Iterator[tuple[float, str]]:
    """Give each line of progress with its time."""
    for line in process.stderr or ():
        yield time.monotonic() - started, line.rstrip()


def pss_mb(process: psutil.Process) -> float:
    """Memory of a process and its children, what they share counted once."""
    family = [process, *process.children(recursive=True)]
    return float(sum(one.memory_full_info().pss for one in family)) / 1e6


if __name__ == "__main__":
    sys.exit(main())
