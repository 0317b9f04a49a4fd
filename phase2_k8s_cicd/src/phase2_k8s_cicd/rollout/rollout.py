"""Bring a new version into service so that no caller notices, or leave the old one there and say why.

First the new version runs beside the old one, as a candidate that no caller reaches. It must start, answer 200 fixed
houses with the prices that its model gives offline, and not be slower than the old version, asked at the same time.
Only then is the old one replaced, while somebody keeps asking; what is lost then undoes the rollout.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Protocol

from phase1_docker_api.errors import CourseError
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.probe import Question, Report, Watch
from phase2_k8s_cicd.rollout.reference_houses import HOUSES
from phase2_k8s_cicd.tools import Say, undisturbed

# A pod that was told to go may answer on for five seconds, which is in the manifests.
ALONE_SECONDS = 2
# Not the plan's: who has too little time for an update must still have enough for the way back.
UNDO_SECONDS = 240


class Plan(BaseSettings):
    """How long a rollout waits and what it tolerates; each can come from ROLLOUT_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ROLLOUT_", frozen=True, extra="ignore")

    wait_seconds: float = Field(0, ge=0, description="How long to wait for the end of another rollout there.")
    start_seconds: int = Field(90, ge=5, description="How long a candidate may take until it is ready.")
    update_seconds: int = Field(240, ge=10, description="How long replacing all pods may take.")
    compare_rate: float = Field(25, gt=0, le=200, description="Requests a second to each of old and new.")
    watch_rate: float = Field(50, gt=0, le=500, description="Requests a second while the old version is replaced.")
    settle_seconds: float = Field(
        8, ge=7, description="How long to ask on when all is replaced; in the last two the new version answers alone."
    )
    slower_times: float = Field(
        3, ge=1, description="How many times the old version's p50, p99 and share of lost answers are tolerated,"
    )
    p50_slack_ms: float = Field(2, ge=0, description="so much on top of p50,")
    p99_slack_ms: float = Field(50, ge=0, description="and so much of p99, which is noisy on a small machine.")


class Place(Protocol):
    """Where versions run: a cluster, or processes of this machine."""

    url: str
    previous: str | None

    @property
    def answering(self) -> Collection[str]:
        """Name the versions that answer before anything changes; more than one after a rollout that was killed."""

    def candidate(self, timeout_s: float) -> AbstractContextManager[str]:
        """Run the new version where no caller comes, until the context ends; give its address once it is ready.

        Raises RolloutError when it does not start in time.
        """

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Report]:
        """Ask side by side."""

    def watching(self, question: Question, say: Say) -> AbstractContextManager[Watch]:
        """Keep asking until the watch is ended."""

    def replace(self, timeout_s: float) -> None:
        """Let the new version take the old one's place; raise RolloutError when it is not done in time."""

    def undo(self, timeout_s: float) -> None:
        """Bring the old version back."""


class Rollout:
    """One version's way into one place."""

    def __init__(self, place: Place, version: str, plan: Plan, say: Say) -> None:
        self._place, self._plan, self._say = place, plan, say
        self.version, self.previous = version, place.previous
        self.candidate: dict[str, Report] = {}
        self.watch: Report | None = None
        self.begun = False
        self.undo_failed = ""
        self._old_answers = place.previous is not None
        self._tolerated = 0.0

    def run(self, houses: str, expected: str) -> str:
        """Go all the way, and say in a line how it went; `expected` are the houses with their prices.

        Raises:
            RolloutError: the version did not pass; the old one serves.
            ToolError: a program failed; the old version serves.

        """
        try:
            self._try_candidate(houses, expected)
            self._replace(houses, expected)
        except BaseException:  # Ctrl-C too
            if self.begun:
                self._undo()
            raise
        if (seen := self.watch) is None:
            return f"nothing answered before{f', {self.previous} neither' if self.previous else ''}"
        lost = f"{seen.lost} lost{f', as {self.previous} did' if self._tolerated else ''}"
        return f"asked {seen.requests:,} times meanwhile, {lost}, p99 {seen.p99_ms:.1f} ms"

    def _undo(self) -> None:
        """Bring the old version back; that this fails too must not hide why it was begun."""
        self._say(f"undoing: back to {self.previous or 'nothing'} …")
        try:
            with undisturbed():
                self._place.undo(UNDO_SECONDS)
        except CourseError as error:
            self.undo_failed = str(error)

    def _try_candidate(self, houses: str, expected: str) -> None:
        place, rate = self._place, self._plan.compare_rate
        self._say(f"candidate: {self.version} on its own, which no caller reaches …")
        started = time.monotonic()
        with place.candidate(self._plan.start_seconds) as url:
            self._say(f"it is ready after {time.monotonic() - started:.0f} s; asking for {HOUSES} houses …")
            questions = {"new": Question(url, rate, HOUSES / rate, expected, [self.version])}
            if self.previous:
                questions["old"] = Question(place.url, rate, HOUSES / rate, houses, sorted(place.answering))
            self.candidate = place.ask(questions)
        new, old = self.candidate["new"], self.candidate.get("old")
        if old and not old.ok:
            self._say(f"{self.previous} does not answer at all ({old.why_lost()}): there is nothing to lose")
            self._old_answers, old = False, None
        if old and old.lost:
            self._tolerated = self._plan.slower_times * old.lost / old.requests
        if new.lost:
            raise RolloutError(f"{self.version} does not answer as it should: {new.why_lost()}")
        self._refuse_slower(new, old)
        beside = f" (old: {old.p50_ms:.1f} / {old.p99_ms:.1f})" if old else ""
        self._say(f"prices as offline, p50 / p99 {new.p50_ms:.1f} / {new.p99_ms:.1f} ms{beside}")

    def _refuse_slower(self, new: Report, old: Report | None) -> None:
        plan = self._plan
        for claim, took, before, slack in (
            ("half of its answers take", new.p50_ms, old.p50_ms if old else 10.0, plan.p50_slack_ms),
            ("one answer in a hundred takes", new.p99_ms, old.p99_ms if old else 100.0, plan.p99_slack_ms),
        ):
            if took > before * plan.slower_times + slack:
                than = "the old version" if old else "expected are"
                raise RolloutError(f"{self.version} is too slow: {claim} {took:.1f} ms or more, {than} {before:.1f} ms")

    def _replace(self, houses: str, expected: str) -> None:
        place, plan = self._place, self._plan
        self._say(f"replacing {self.previous or 'nothing'} by {self.version} …")
        self.begun = True
        if not self._old_answers:
            place.replace(plan.update_seconds)
            return
        question = Question(place.url, plan.watch_rate, 0, houses, sorted({self.version, *place.answering}))
        with place.watching(question, self._say) as watch:
            try:
                place.replace(plan.update_seconds)
                time.sleep(plan.settle_seconds)
            except CourseError:
                with suppress(CourseError):  # what callers saw until then is worth keeping
                    self.watch = watch.end()
                raise
            self.watch = watch.end()
        self._judge(self.watch)
        if self._tolerated:
            self._judge_alone(expected)

    def _judge(self, found: Report) -> None:
        if found.lost > self._tolerated * found.requests:
            raise RolloutError(f"while {self.version} came in, {found.why_lost()}")
        if self.version not in found.versions:
            raise RolloutError(f"{self.version} never answered at {self._place.url}")
        for name in sorted({*self._place.answering} - {self.version}):
            old = found.versions.get(name)
            if old and old.last_s > found.seconds - ALONE_SECONDS:
                raise RolloutError(f"{name} still answers after it was replaced")

    def _judge_alone(self, expected: str) -> None:
        """Ask once more: what was lost while the old version was there, which loses answers, may have been its own."""
        rate = self._plan.compare_rate
        self._say(f"{self.previous} lost answers before; asking {self.version} alone …")
        alone = self._place.ask({"alone": Question(self._place.url, rate, HOUSES / rate, expected, [self.version])})
        if alone["alone"].lost:
            raise RolloutError(f"{self.version} alone does not answer as it should: {alone['alone'].why_lost()}")
