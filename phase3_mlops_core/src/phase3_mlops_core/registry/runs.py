"""Keep MLflow's runs: one a training, opened, filled and closed by us, whatever happens in between."""

from __future__ import annotations

import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from phase3_mlops_core.errors import RegistryError
from phase3_mlops_core.registry.connection import speaking
from phase3_mlops_core.registry.versions import Registry

if TYPE_CHECKING:
    import pandas as pd

# What tells our runs from those that other programs keep in the same experiment.
OURS = {"made_by": "phase3"}


@dataclass(frozen=True)
class Nested:
    """A run within a run: one set of parameters that was tried, with its errors a month."""

    name: str
    parameters: Mapping[str, str]
    off_by_pct: Mapping[str, float]
    metrics: Mapping[str, float] = field(default_factory=dict)


@contextmanager
def open_run(registry: Registry, name: str, tags: Mapping[str, str]) -> Iterator[str]:
    """Open a run and give its id; it ends as finished, or as failed with the reason."""
    import mlflow

    with speaking(registry.settings):
        mlflow.set_experiment(registry.settings.experiment)
        run = mlflow.start_run(run_name=name, tags={**OURS, **tags})
    try:
        yield run.info.run_id
    except BaseException as error:
        end_quietly(registry, run.info.run_id, "FAILED", str(error))
        raise
    with speaking(registry.settings):
        mlflow.end_run()


def end(registry: Registry, run_id: str, status: str, reason: str) -> None:
    """Close a run with the reason."""
    with speaking(registry.settings):
        registry.client.set_terminated(run_id, status)
        registry.client.set_tag(run_id, "ended_because", reason[:5000])


def end_quietly(registry: Registry, run_id: str, status: str, reason: str) -> None:
    """The same, as far as MLflow answers within a second; if it does not, the janitor will close it."""
    import mlflow

    patience = os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", "120")
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "1"
    try:
        with suppress(RegistryError), speaking(registry.settings):
            if mlflow.active_run() is not None:
                mlflow.end_run(status)
            end(registry, run_id, status, reason)
    finally:
        os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = patience


def log_nested(registry: Registry, run_id: str, trials: Sequence[Nested]) -> None:
    """Log what was tried as finished runs within the run."""
    client = registry.client
    with speaking(registry.settings):
        experiment = client.get_run(run_id).info.experiment_id
        for trial in trials:
            tags = OURS | {"mlflow.parentRunId": run_id}
            nested = client.create_run(experiment, tags=tags, run_name=trial.name).info.run_id
            log_figures(registry, nested, trial.parameters, trial.metrics, trial.off_by_pct)
            client.set_terminated(nested)


def log_figures(
    registry: Registry,
    run_id: str,
    parameters: Mapping[str, str],
    metrics: Mapping[str, float],
    off_by_pct: Mapping[str, float],
) -> None:
    """Log parameters, metrics, and the median error of each month, in one request.

    A month's number, counted from year 0, is the step: so a chart of several runs lines the months up.
    """
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    of_months = [Metric("off_by_pct", error, now, _step(month)) for month, error in off_by_pct.items()]
    others = [Metric(name, value, now, 0) for name, value in metrics.items()]
    with speaking(registry.settings):
        registry.client.log_batch(run_id, others + of_months, [Param(*parameter) for parameter in parameters.items()])


def log_files(registry: Registry, run_id: str, texts: Mapping[str, object], charts: Sequence[Path]) -> None:
    """Add JSON documents and charts to the run."""
    with speaking(registry.settings):
        for name, content in texts.items():
            registry.client.log_text(run_id, json.dumps(content, indent=1, default=str), name)
        for chart in charts:
            registry.client.log_artifact(run_id, str(chart))


def log_dataset(registry: Registry, sales: pd.DataFrame, sha256: str, source: str) -> None:
    """Say in the open run which sales it learned from; MLflow keeps their digest and columns, not the rows."""
    import mlflow
    import mlflow.data

    with speaking(registry.settings), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that several kinds of sources would do
        dataset = mlflow.data.from_pandas(sales, source=source, targets="price", name="sales", digest=sha256[:36])  # type: ignore[attr-defined]
        mlflow.log_input(dataset, context="training")


def log_report(registry: Registry, run_id: str, folder: Path, metrics: Mapping[str, float]) -> None:
    """Add a report's files and figures to a run that has ended."""
    with speaking(registry.settings):
        registry.client.log_artifacts(run_id, str(folder), folder.name)
    log_figures(registry, run_id, {}, metrics, {})


def _step(month: str) -> int:
    year, number = map(int, month.split("-"))
    return 12 * year + number - 1
