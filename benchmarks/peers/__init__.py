"""Who is measured. A further peer is its app and its requirements in this folder, and one entry in `PEERS`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[1]
PHASE1, PHASE2 = ROOT / "phase1_docker_api", ROOT / "phase2_k8s_cicd"
OURS, NAIVE, FLASK, MLFLOW, BENTOML = "ours", "naive FastAPI", "naive Flask", "MLflow", "BentoML"
CONSTANT, BARE, WATCHED = "a constant", "bare uvicorn", "ours with metrics"

House = dict[str, object]
Houses = Sequence[House]


def columns(houses: Houses) -> dict[str, Any]:
    """One list a field, which ours takes beside objects."""
    return {"columns": {name: [house[name] for house in houses] for name in houses[0]}}


def split(houses: Houses) -> dict[str, Any]:
    """One list a house, the first of the forms that MLflow's documents show."""
    return {"dataframe_split": {"columns": list(houses[0]), "data": [list(house.values()) for house in houses]}}


@dataclass(frozen=True)
class Batches:
    """How a peer takes many houses: where, in which form, and how many at once."""

    path: str = "/predict/batch"
    body: Callable[[Houses], Any] = list
    most: int = 100_000


@dataclass(frozen=True)
class Peer:
    """A service to measure. No app is imported here: measuring must share no memory with what it measures.

    `packages` are folders of this repository, installed without what they depend on, which the requirements name.
    `command` runs in the folder that `benchmarks.prepare` filled, with `{port}` filled in and the programs of
    its own environment first on PATH; `prepare`, a program of this folder, has run there once.
    """

    name: str
    requirements: Path
    command: str
    path: str = "/predict"
    body: Callable[[House], Any] = dict
    batches: Batches | None = None
    prepare: str | None = None
    packages: tuple[Path, ...] = ()


PEERS = (
    Peer(
        OURS,
        PHASE1 / "requirements.txt",
        "phase1 serve",
        batches=Batches(body=columns, most=10_000),
        packages=(PHASE1,),
    ),
    Peer(
        WATCHED,
        PHASE2 / "requirements.txt",
        "phase2 serve",
        batches=Batches(body=columns, most=10_000),
        packages=(PHASE1, PHASE2),
    ),
    Peer(NAIVE, FOLDER / "naive_fastapi.txt", "uvicorn naive_fastapi:app --port {port}", batches=Batches()),
    Peer(FLASK, FOLDER / "naive_flask.txt", "gunicorn -w 1 -b 127.0.0.1:{port} naive_flask:app", batches=Batches()),
    Peer(
        MLFLOW,
        FOLDER / "mlflow.txt",
        "mlflow models serve -m mlflow-model -p {port} --env-manager local",
        path="/invocations",
        body=lambda house: split([house]),
        batches=Batches("/invocations", split),
        prepare="mlflow_log.py",
    ),
    Peer(
        BENTOML,
        FOLDER / "bentoml.txt",
        "bentoml serve bento:HousePrices --port {port}",
        body=lambda house: {"house": house},
        batches=Batches("/predict_batch", lambda houses: {"houses": houses}),
    ),
    Peer(CONSTANT, FOLDER / "constant.txt", "uvicorn constant:app --port {port} --no-access-log"),
    Peer(BARE, FOLDER / "bare.txt", "uvicorn bare:app --port {port} --no-access-log"),
)
