"""Exercise 4: ROLLOUT_P99_LIMIT_MS refuses a candidate above it, however slow the old version is."""

from __future__ import annotations

import pytest
from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.limits import Plan
from phase2_k8s_cicd.rollout.rollout import Rollout
from phase2_k8s_cicd.testing import ToyPlace, report

P99_MS = 150


class ReplacedError(Exception):
    """The candidate was let in."""


@pytest.mark.parametrize(("limit", "refused"), [("", False), ("200", False), ("100", True)])
def test_the_limit_decides_alone(monkeypatch: pytest.MonkeyPatch, limit: str, refused: bool) -> None:
    assert "p99_limit_ms" in Plan.model_fields, "Plan has no field p99_limit_ms yet"
    if limit:
        monkeypatch.setenv("ROLLOUT_P99_LIMIT_MS", limit)

    slow = report(p50_ms=5, p99_ms=P99_MS)
    place = ToyPlace(new=slow, old=slow, fails=ReplacedError())

    try:
        Rollout(place, "v2", Plan(), lambda _: None).run("[]", "[]")
    except (ReplacedError, RolloutError) as error:
        was_refused = isinstance(error, RolloutError)

    stated = f"a limit of {limit} ms" if limit else "no limit"
    became = "refused" if was_refused else "let in"
    assert was_refused == refused, f"with {stated}, a p99 of {P99_MS} ms (the old version's too) is {became}"
