"""Room: registry. Versions in a real MLflow server: registered once, named, fetched, and refused if changed."""

from __future__ import annotations

import pickle
from pathlib import Path

import mlflow
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from phase1_docker_api.errors import CourseError
from phase1_docker_api.model.artifact import load_model, write_artifact
from phase1_docker_api.schemas import REQUIRED_FIELDS, House
from phase1_docker_api.training.sales import records_of
from phase3_mlops_core.errors import RegistryError
from phase3_mlops_core.registry.package import digest_of, verify
from phase3_mlops_core.registry.runs import open_run
from phase3_mlops_core.registry.versions import SCORED, Registry, Version
from phase3_mlops_core.training.monthly import Trained


def packed(trained: Trained, place: Path) -> tuple[Path, Path]:
    place.mkdir(exist_ok=True)
    for model, name in ((trained.refit, "model"), (trained.scored, "scored")):
        write_artifact(model, place / name)
    return place / "model", place / "scored"


def registered(registry: Registry, trained: Trained, place: Path) -> Version:
    served, scored = packed(trained, place)
    tags = {"model_version": trained.refit.card.model_version, "month": str(trained.month)}
    with open_run(registry, "a test", {}) as run_id:
        return registry.register(served, scored, tags, "A story.", run_id)


def test_stock_tools_give_our_prices_to_the_cent(
    registry: Registry, february: Trained, tmp_path: Path, seattle_sales: pd.DataFrame
) -> None:
    registry.name_as("champion", registered(registry, february, tmp_path / "a"))
    rows = seattle_sales.tail(500)
    houses = rows[[name for name in House.model_fields if name in rows]]
    model = mlflow.pyfunc.load_model(f"models:/{registry.name}@champion")

    complete, minimal = model.predict(houses), model.predict(houses[list(REQUIRED_FIELDS)])

    ours = [february.refit.estimate([House(**record)])[0] for record in records_of(rows)]
    assert complete["price_usd"].tolist() == [estimate.price_usd for estimate in ours]
    assert complete["low_usd"].tolist() == [estimate.interval_usd.low for estimate in ours]
    least = [House(**{name: record[name] for name in REQUIRED_FIELDS}) for record in records_of(rows)]
    assert minimal["price_usd"].tolist() == [estimate.price_usd for estimate in february.refit.estimate(least)]
    with pytest.raises(MlflowException, match=r"0.living_area_sqft: .* is it in m²"):
        model.predict(houses.head(1).assign(living_area_sqft=167.0))


def test_what_is_fetched_is_what_was_registered_byte_for_byte(
    registry: Registry, february: Trained, tmp_path: Path
) -> None:
    version = registered(registry, february, tmp_path / "a")

    fetched, scored = registry.fetch(version, tmp_path / "b"), registry.fetch(version, tmp_path / "c", SCORED)

    assert {f.name: f.read_bytes() for f in fetched.iterdir()} == {
        f.name: f.read_bytes() for f in (tmp_path / "a" / "model").iterdir()
    }
    assert load_model(scored).card.model_version == february.scored.card.model_version


def test_the_same_model_is_registered_once(registry: Registry, february: Trained, tmp_path: Path) -> None:
    first = registered(registry, february, tmp_path / "a")
    second = registered(registry, february, tmp_path / "b")

    assert (first.number, second.number) == (1, 1)
    assert registry.versions() == [first]
    assert registry.find(february.refit.card.model_version) == first


def test_an_alias_names_one_version_until_it_is_taken_away(
    registry: Registry, february: Trained, tmp_path: Path
) -> None:
    assert registry.aliases() == {}
    version = registered(registry, february, tmp_path / "a")

    registry.name_as("staging", version)
    named = registry.named("staging")
    registry.unname("staging", version)

    assert named == version
    assert registry.named("staging") is None
    with pytest.raises(RegistryError, match="no version 7"):
        registry.numbered(7)


@pytest.mark.parametrize("name", ["card.json", "model.npz", "reference.json", "SHA256SUMS"])
def test_a_changed_file_is_refused_before_anything_is_read(february: Trained, tmp_path: Path, name: str) -> None:
    folder, _ = packed(february, tmp_path / "a")
    digest = digest_of(folder)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")

    with pytest.raises(RegistryError, match="refused before it was read"):
        verify(folder, digest)


def test_a_folder_that_was_made_whole_by_other_hands_is_refused(
    registry: Registry, february: Trained, tmp_path: Path, mlflow_store: Path
) -> None:
    version = registered(registry, february, tmp_path / "a")
    forged, _ = packed(Trained(february.month, february.plan, february.scored, february.scored, []), tmp_path / "b")
    [stored] = mlflow_store.rglob(f"{_model_id(registry, version)}/artifacts/artifacts/model")
    for file in forged.iterdir():
        (stored / file.name).write_bytes(file.read_bytes())

    with pytest.raises(RegistryError, match=r"version 1 .* refused before it was read: what the artifact store"):
        registry.fetch(version, tmp_path / "fetched")

    assert not (tmp_path / "fetched").exists()


class Trap:
    """Unpickled, it leaves a file behind."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.file), "w")


def test_a_pickle_among_the_artifacts_runs_nothing(
    registry: Registry, february: Trained, tmp_path: Path, mlflow_store: Path
) -> None:
    version, sprung = registered(registry, february, tmp_path / "a"), tmp_path / "sprung"
    [package] = mlflow_store.rglob(f"{_model_id(registry, version)}/artifacts")
    for file in (package / "artifacts" / "model" / "model.npz", package / "python_model.pkl"):
        file.write_bytes(pickle.dumps(Trap(sprung)))
    lines = (package / "MLmodel").read_text().splitlines(keepends=True)
    stock = "    loader_module: mlflow.pyfunc.model\n    python_model: python_model.pkl\n"
    (package / "MLmodel").write_text(
        "".join(stock if "loader_module" in line else line for line in lines if "model_code_path" not in line)
    )

    with pytest.raises(RegistryError, match="refused before it was read"):
        registry.fetch(version, tmp_path / "fetched")
    with pytest.raises((MlflowException, CourseError)):
        mlflow.pyfunc.load_model(f"models:/{registry.name}/1")

    assert not sprung.exists()


def _model_id(registry: Registry, version: Version) -> str:
    source = registry.client.get_model_version(registry.name, str(version.number)).source
    return str(source).rsplit("/", 1)[1]
