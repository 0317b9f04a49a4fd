"""Room: retraining. From a month to a champion against a real registry, and what a repeat or a crash leaves."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from phase1_docker_api.testing import MIDNIGHT
from phase3_mlops_core.errors import GateError, RegistryError
from phase3_mlops_core.registry import promotions
from phase3_mlops_core.registry.janitor import tidy
from phase3_mlops_core.registry.versions import CHALLENGER, CHAMPION, Registry
from phase3_mlops_core.retraining import steps
from phase3_mlops_core.retraining.sales import KnownSales
from phase3_mlops_core.training.monthly import Trained, train_month
from phase3_mlops_core.training.plan import MonthlyPlan

SMALL = MonthlyPlan("trees", 6, parameters={"log_price__n_estimators": 40, "log_price__learning_rate": 0.15})
FIRST, LATER = pd.Period("2012-06", "M"), pd.Period("2013-06", "M")


def quiet(text: str) -> None:
    pass


@pytest.fixture(scope="module")
def known(seattle_sales: pd.DataFrame) -> KnownSales:
    return KnownSales(seattle_sales[seattle_sales["sale_date"] < "2013-07-01"], "0" * 64, "a test")


@pytest.fixture(scope="module")
def june(known: KnownSales) -> Trained:
    """A training of FIRST, for tests that look at what comes after it."""
    return train_month(
        known.frame, FIRST, SMALL, search=False, data_sha256=known.sha256, trained_at=MIDNIGHT, say=quiet
    )


def retrain(registry: Registry, known: KnownSales, month: pd.Period, out: Path) -> steps.Done:
    version = steps.train(registry, known, month, SMALL, False, quiet).version
    steps.evaluate(registry, known, version, out, quiet)
    return steps.promote(registry, None, None, None, quiet)


def test_two_months_make_two_champions_and_a_story(registry: Registry, known: KnownSales, tmp_path: Path) -> None:
    first = retrain(registry, known, FIRST, tmp_path / "out").version
    second = retrain(registry, known, LATER, tmp_path / "out").version

    log = promotions.read(registry.settings.home)
    assert registry.aliases() == {CHAMPION: second.number}
    assert [(line.from_version, line.to_version, line.as_of) for line in log] == [
        (None, 1, "2012-06"),
        (1, 2, "2013-06"),
    ]
    assert log[1].figures["gate_gain_pct"] > 5
    assert promotions.disagreements(log, registry.aliases()) == []
    tags = registry.numbered(first.number).tags
    assert (tags["retired_as_of"], tags["retired_for"]) == ("2013-06", "2")
    run = registry.client.get_run(second.run_id)
    assert run.info.status == "FINISHED"
    assert {"mlflow.source.git.commit", "month", "scored_version"} <= set(run.data.tags)
    assert run.inputs.dataset_inputs[0].dataset.digest == "0" * 36
    assert len(registry.client.get_metric_history(second.run_id, "off_by_pct")) == 3
    assert {"card.json", "errors.png", "out"} <= {f.path for f in registry.client.list_artifacts(second.run_id)}

    again = steps.train(registry, known, LATER, SMALL, False, quiet)
    assert (again.version.number, again.repeated) == (2, True)
    assert steps.promote(registry, None, None, None, quiet).repeated
    assert len(promotions.read(registry.settings.home)) == 2

    back = steps.promote(registry, registry.numbered(1), "2013-08", "prices at the lake were off", quiet)
    assert registry.aliases()[CHAMPION] == back.version.number == 1
    assert promotions.read(registry.settings.home)[-1].why == "prices at the lake were off"


def test_what_has_not_passed_the_gate_is_not_promoted(registry: Registry, known: KnownSales, june: Trained) -> None:
    with pytest.raises(GateError, match="no version is staged"):
        steps.promote(registry, None, None, None, quiet)

    version = steps.register(registry, known, june, quiet).version
    with pytest.raises(GateError, match="not evaluated"):
        steps.promote(registry, version, None, None, quiet)

    registry.tag(version, gate="passed", gate_against="7")
    with pytest.raises(GateError, match="evaluate it again"):
        steps.promote(registry, registry.numbered(1), None, None, quiet)

    assert registry.aliases() == {CHALLENGER: 1}


def killed_at(patch: pytest.MonkeyPatch, owner: object, request_name: str, step: Callable[[], object]) -> None:
    """Run the step in a process of its own, which ends like a killed one when it comes to this request."""
    child = os.fork()
    if child == 0:
        patch.setattr(owner, request_name, lambda *arguments, **named: os._exit(9))
        step()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("request_name", ["set_registered_model_alias", "set_model_version_tag"])
def test_a_promotion_that_was_killed_half_way_is_finished_by_the_repeat(
    registry: Registry,
    known: KnownSales,
    june: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request_name: str,
) -> None:
    version = steps.register(registry, known, june, quiet).version
    steps.evaluate(registry, known, version, tmp_path / "out", quiet)

    killed_at(monkeypatch, registry.client, request_name, lambda: steps.promote(registry, None, None, None, quiet))
    said = promotions.disagreements(promotions.read(registry.settings.home), registry.aliases())
    steps.promote(registry, None, None, None, quiet)

    assert len(said) == (request_name == "set_registered_model_alias")
    assert registry.aliases() == {CHAMPION: 1}
    assert len(promotions.read(registry.settings.home)) == 1
    assert registry.numbered(1).tags["promoted_as_of"] == "2012-06"


@pytest.mark.parametrize(
    ("place", "request_name", "is_registered"),
    [
        ("mlflow", "log_input", False),
        ("mlflow.pyfunc", "log_model", False),
        ("mlflow", "register_model", False),
        ("mlflow", "end_run", True),
        ("client", "set_registered_model_alias", True),
    ],
)
def test_a_training_that_was_killed_leaves_nothing_open_and_is_registered_once(
    registry: Registry,
    known: KnownSales,
    june: Trained,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    request_name: str,
    is_registered: bool,
) -> None:
    owner = registry.client if place == "client" else importlib.import_module(place)

    killed_at(monkeypatch, owner, request_name, lambda: steps.register(registry, known, june, quiet))
    found = [version.number for version in registry.versions()]
    closed = tidy(registry)
    done = steps.register(registry, known, june, quiet)

    assert found == [1] * is_registered
    assert len(closed) == (place != "client")
    assert tidy(registry) == []
    assert done.repeated is is_registered
    assert registry.aliases() == {CHALLENGER: 1}
    assert [version.number for version in registry.versions()] == [1]


def test_a_registry_that_does_not_answer_is_named(known: KnownSales, june: Trained, registry: Registry) -> None:
    settings = registry.settings.model_copy(update={"mlflow_url": "http://127.0.0.1:9", "mlflow_seconds": 2})
    with pytest.raises(RegistryError, match=r"127.0.0.1:9 did not answer .*make phase3-up"):
        steps.register(Registry(settings), known, june, quiet)
