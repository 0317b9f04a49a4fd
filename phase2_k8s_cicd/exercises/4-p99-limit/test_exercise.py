"""Exercise 4: ROLLOUT_P99_LIMIT_MS refuses a candidate above it, however slow the old version is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import pytest
from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.probe import Question, Report, Watch
from phase2_k8s_cicd.rollout.rollout import Plan, Rollout, Say

P99_MS = 150


class ReplacedError(Exception):
    """The candidate was let in."""


class SlowPlace:
    """A place whose versions, old and new, have the same p99."""

    url = "http://slow"
    previous: str | None = "v1"
    answering = frozenset({"v1"})
    report = Report(
        url=url,
        started_at="",
        seconds=1,
        requests=200,
        ok=200,
        lost=0,
        p50_ms=5,
        p99_ms=P99_MS,
        max_ms=P99_MS,
        versions={},
        lost_by_kind={},
        losses=[],
    )

    def candidate(self, timeout_s: float) -> AbstractContextManager[str]:
        return nullcontext(self.url)

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Report]:
        return dict.fromkeys(questions, self.report)

    @contextmanager
    def watching(self, question: Question, say: Say) -> Iterator[Watch]:
        yield self

    def end(self) -> Report:
        return self.report

    def replace(self, timeout_s: float) -> None:
        raise ReplacedError

    def undo(self, timeout_s: float) -> None:
        pass


@pytest.mark.parametrize(("limit", "refused"), [("", False), ("200", False), ("100", True)])
def test_the_limit_decides_alone(monkeypatch: pytest.MonkeyPatch, limit: str, refused: bool) -> None:
    assert "p99_limit_ms" in Plan.model_fields, "Plan has no field p99_limit_ms yet"
    if limit:
        monkeypatch.setenv("ROLLOUT_P99_LIMIT_MS", limit)

    try:
        Rollout(SlowPlace(), "v2", Plan(), lambda _: None).run("[]", "[]")
    except (ReplacedError, RolloutError) as error:
        was_refused = isinstance(error, RolloutError)

    stated = f"a limit of {limit} ms" if limit else "no limit"
    became = "refused" if was_refused else "let in"
    assert was_refused == refused, f"with {stated}, a p99 of {P99_MS} ms (the old version's too) is {became}"
