"""A predictor serves the version that it was told; where it cannot be had, the last one that served here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from phase1_docker_api.errors import ServiceError
from phase1_docker_api.model.artifact import write_artifact
from phase3_mlops_core.registry.runs import open_run
from phase3_mlops_core.registry.versions import Registry, Version
from phase3_mlops_core.service.source import LAST_GOOD, REGISTRY, model_to_serve
from phase3_mlops_core.settings import PipelineSettings, PredictorSettings
from phase3_mlops_core.testing import environment_of
from phase3_mlops_core.training.monthly import Trained


@pytest.fixture
def version(registry: Registry, february: Trained, tmp_path: Path) -> Version:
    """The quick training of February, registered."""
    served, scored = tmp_path / "model", tmp_path / "scored"
    write_artifact(february.refit, served)
    write_artifact(february.scored, scored)
    tags = {"model_version": february.refit.card.model_version, "month": "2012-02"}
    with open_run(registry, "a test", {}) as run_id:
        return registry.register(served, scored, tags, "A story.", run_id)


@pytest.fixture
def told(registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], PredictorSettings]:
    """Settings of a predictor that is told a version, in an environment that names the test's registry."""
    pointed(monkeypatch, registry.settings)

    def settings(number: int) -> PredictorSettings:
        return PredictorSettings(model_number=number, model_cache=tmp_path / "cache", fetch_seconds=120)

    return settings


def pointed(monkeypatch: pytest.MonkeyPatch, settings: PipelineSettings) -> None:
    for name, value in environment_of(settings).items():
        monkeypatch.setenv(name, value)


def test_the_version_that_was_told_is_served_and_survives_a_registry_that_is_down(
    told: Callable[[int], PredictorSettings],
    version: Version,
    registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = model_to_serve(told(version.number))
    pointed(monkeypatch, registry.settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9", "mlflow_seconds": 2}))
    second = model_to_serve(told(version.number))

    assert (first.source, first.trouble) == (REGISTRY, "")
    assert first.model.card.model_version == version.model_version
    assert second.source == LAST_GOOD
    assert second.model.card == first.model.card
    assert "did not answer" in second.trouble


def test_a_version_that_was_tampered_with_is_refused_and_the_old_one_serves_on(
    told: Callable[[int], PredictorSettings], registry: Registry, version: Version, mlflow_store: Path
) -> None:
    model_to_serve(told(version.number))
    source = registry.client.get_model_version(registry.name, str(version.number)).source
    [changed] = mlflow_store.rglob(f"{source.rpartition('/')[2]}/artifacts/artifacts/model/card.json")
    changed.write_text(changed.read_text().replace("2012-02", "2012-03", 1))

    served = model_to_serve(told(version.number))

    assert served.source == LAST_GOOD
    assert "refused before it was read" in served.trouble
    assert served.model.card.model_version == version.model_version


def test_a_registry_that_hangs_is_cut_off_and_without_an_older_version_it_is_an_error(
    told: Callable[[int], PredictorSettings], version: Version
) -> None:
    hanging = told(version.number).model_copy(update={"fetch_seconds": 0.05})

    with pytest.raises(ServiceError, match=f"cannot serve version {version.number}, and none was served here before"):
        model_to_serve(hanging)
    with pytest.raises(ServiceError, match="has no version 77"):
        model_to_serve(told(77))
