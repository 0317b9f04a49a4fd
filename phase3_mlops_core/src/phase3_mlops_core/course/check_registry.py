"""Look at the learner's own registry: who is let in, whether log and aliases agree, and how the champion prices."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
from phase1_docker_api.course.findings import Finding
from phase1_docker_api.errors import CourseError
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House
from phase1_docker_api.training.sales import records_of

from phase3_mlops_core.registry import promotions
from phase3_mlops_core.registry.connection import speaking
from phase3_mlops_core.registry.package import ANSWER, CODE, EXAMPLE, verify
from phase3_mlops_core.registry.versions import CHAMPION, SERVED, Registry, Version
from phase3_mlops_core.sales_table.manifest import read_manifest
from phase3_mlops_core.sales_table.reading import read_table
from phase3_mlops_core.settings import PipelineSettings

UP = "make phase3-up"
RETRAIN = ".venv/bin/phase3 retrain --month 2012-02"
HISTORY = ".venv/bin/phase3 history"
HOUSES = 100


def strangers_are_refused(settings: PipelineSettings) -> Finding:
    """Whether MLflow refuses who gives no password, and who reaches it under a name that it does not know."""
    name, url = "strangers", f"{settings.mlflow_url}/api/2.0/mlflow/experiments/search?max_results=1"
    try:
        with httpx.Client(timeout=settings.mlflow_seconds, trust_env=False) as client:
            unnamed = client.get(url).status_code
            elsewhere = client.get(url, headers={"Host": "example.org"}).status_code
    except httpx.TransportError:
        return Finding(name, False, f"nothing answers at {settings.mlflow_url}", UP)
    seen = f"without a password MLflow answers {unnamed}, to the host name example.org {elsewhere}"
    return Finding(name, (unnamed, elsewhere) == (401, 403), seen, f"is it ours?  make phase3-down, then  {UP}")


def log_agrees(registry: Registry) -> Finding:
    """Whether the promotion log and the registry's aliases name the same champion.

    Raises:
        RegistryError: MLflow does not answer.

    """
    name, log, aliases = "promotion log", promotions.read(registry.settings.home), registry.aliases()
    if wrong := promotions.disagreements(log, aliases):
        return Finding(name, False, wrong[0], HISTORY)
    if CHAMPION not in aliases:
        return Finding(name, None, "there is no champion yet", RETRAIN)
    return Finding(name, True, f"{len(log)} decisions; log and registry name version {aliases[CHAMPION]} champion")


def champion_prices(registry: Registry) -> Iterator[Finding]:
    """Whether the champion is what was registered, can be loaded, and prices as MLflow's own tools do."""
    names, version = ("champion", "stock tools"), None
    try:
        version = registry.named(CHAMPION)
        if version is None:
            yield from not_looked_at("a champion", names)
            return
        with registry.fetched(version) as folder:
            model = load_model(folder)
        yield Finding("champion", True, f"{version} is what was registered, and can be loaded")
    except CourseError as error:
        yield Finding("champion", False, str(error), HISTORY)
        yield from not_looked_at("the champion's files", names[1:])
        return
    yield found("stock tools", lambda: stock_tools_agree(registry, version, model), HISTORY)


def stock_tools_agree(registry: Registry, version: Version, model: HouseModel) -> Finding:
    """Whether `mlflow.pyfunc` prices houses to the cent as our own code does.

    A model that MLflow loads may run code. So the champion's is compared with ours before it is run.

    Raises:
        RegistryError: MLflow does not answer.

    """
    import mlflow

    name, records = "stock tools", _records(registry.settings.home)
    with tempfile.TemporaryDirectory(prefix="phase3-check-") as place, speaking(registry.settings):
        uri = f"models:/{registry.name}/{version.number}"
        package = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=place))
        verify(package / "artifacts" / SERVED, version.tags["artifact_sha256"])
        if not runs_our_code(package):
            return Finding(name, None, f"{version} holds other code than {CODE.name} here: it was not run", RETRAIN)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it would rather have type hints than our signature
            answers = mlflow.pyfunc.load_model(str(package)).predict(_frame(records))
    ours = [model.estimate([House(**record)])[0] for record in records]
    expected = [(e.price_usd, e.interval_usd.low, e.interval_usd.high) for e in ours]
    apart = sum(a != b for a, b in zip(answers[list(ANSWER)].itertuples(index=False, name=None), expected, strict=True))
    seen = f"mlflow.pyfunc gives {len(records) - apart} of {len(records)} houses our price and interval, to the cent"
    return Finding(name, not apart, seen, RETRAIN)


def runs_our_code(package: Path) -> bool:
    """Whether a downloaded MLflow model loads our file of code, and no other file and no pickle."""
    from mlflow.models import Model

    flavor: dict[str, Any] = Model.load(str(package)).flavors.get("python_function", {})
    file = package / Path(flavor.get("model_code_path") or "nothing").name
    return (
        flavor.get("loader_module") == "mlflow.pyfunc.loaders.code_model"
        and not flavor.get("python_model")
        and not flavor.get("code")
        and file.is_file()
        and file.read_bytes() == CODE.read_bytes()
    )


def _records(home: Path) -> list[dict[str, Any]]:
    """The newest sales of the table, as houses; without a table the one of the input example."""
    if read_manifest(home) is None:
        return [EXAMPLE]
    return [dict(record) for record in records_of(read_table(home).frame.tail(HOUSES))]


def _frame(records: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(records)
    return frame.astype({name: float for name in frame if frame[name].dtype.kind in "iu"})


def found(name: str, look: Callable[[], Finding], hint: str) -> Finding:
    """Look, and turn an error of the course into a finding with this hint."""
    try:
        return look()
    except CourseError as error:
        return Finding(name, False, str(error), hint)


def not_looked_at(needs: str, names: Iterable[str]) -> Iterator[Finding]:
    """Say of each of these names that it could not be checked, and why."""
    return (Finding(name, None, f"not looked at: it needs {needs}") for name in names)
