"""Keep MLflow's runs: one a training, opened, filled and closed by us, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

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


def end_quietly(registry: Registry, run_id: str, status: str, reason: str) -> None:
    """Close a run as far as MLflow answers; if it does not, the janitor will."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        if mlflow.active_run() is not None:
            mlflow.end_run(status)
        registry.client.set_terminated(run_id, status)
        registry.client.set_tag(run_id, "ended_because", reason[:5000])
    except (MlflowException, OSError):
        pass


def log_nested(registry: Registry, trials: Sequence[Nested]) -> None:
    """Log what was tried as runs within the open one."""
    import mlflow

    with speaking(registry.settings):
        for trial in trials:
            with mlflow.start_run(run_name=trial.name, nested=True, tags=OURS):
                mlflow.log_params(dict(trial.parameters))
                mlflow.log_metrics(dict(trial.metrics))
                _log_months(trial.off_by_pct)


def log_training(
    registry: Registry,
    parameters: Mapping[str, str],
    metrics: Mapping[str, float],
    off_by_pct: Mapping[str, float],
    texts: Mapping[str, object],
    charts: Sequence[Path],
) -> None:
    """Log parameters, metrics, errors a month, JSON documents and charts to the open run."""
    import mlflow

    with speaking(registry.settings):
        mlflow.log_params(dict(parameters))
        mlflow.log_metrics(dict(metrics))
        _log_months(off_by_pct)
        for name, content in texts.items():
            mlflow.log_text(json.dumps(content, indent=1, default=str), name)
        for chart in charts:
            mlflow.log_artifact(str(chart))


def log_dataset(registry: Registry, sales: pd.DataFrame, sha256: str, source: str) -> None:
    """Say in the open run which sales it learned from; MLflow keeps their digest and columns, not the rows."""
    import mlflow
    import mlflow.data

    with speaking(registry.settings):
        dataset = mlflow.data.from_pandas(sales, source=source, targets="price", name="sales", digest=sha256[:36])  # type: ignore[attr-defined]
        mlflow.log_input(dataset, context="training")


def log_report(registry: Registry, run_id: str, folder: Path, metrics: Mapping[str, float]) -> None:
    """Add a report's files and figures to a run that has ended."""
    with speaking(registry.settings):
        registry.client.log_artifacts(run_id, str(folder), folder.name)
        for name, value in metrics.items():
            registry.client.log_metric(run_id, name, value)


def _log_months(off_by_pct: Mapping[str, float]) -> None:
    """A month's number, counted from year 0, is the step: so a chart of several runs lines the months up."""
    import mlflow

    for month, error in off_by_pct.items():
        year, number = map(int, month.split("-"))
        mlflow.log_metric("off_by_pct", error, step=12 * year + number - 1)
