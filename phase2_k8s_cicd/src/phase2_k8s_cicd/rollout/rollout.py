"""Bring a new version into service so that no caller notices, or leave the old one there and say why.

First the new version runs beside the old one, as a candidate that no caller reaches. It must start, answer 200 fixed
houses with the prices that its model gives offline, and not be slower than the old version, asked at the same time.
Where a gateway can shift callers, a growing share of them then reaches the candidate, and each share is judged. Only
then is the old one replaced, while rollcheck keeps asking; what is lost then undoes the rollout.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Protocol, runtime_checkable

from phase1_docker_api.errors import CourseError

from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.limits import ENOUGH_FOR_P50, Latency, Plan, too_slow
from phase2_k8s_cicd.rollout.probe import Question, Report, Watch
from phase2_k8s_cicd.rollout.reference_houses import HOUSES
from phase2_k8s_cicd.tools import Say, undisturbed

# A pod that was told to go may answer on for five seconds, which is in the manifests.
ALONE_SECONDS = 2
# Not the plan's: who has too little time for an update must still have enough for the way back.
UNDO_SECONDS = 240


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


@runtime_checkable
class ShiftingPlace(Place, Protocol):
    """A place with a gateway in front."""

    def shift(self, percent: int) -> None:
        """Let this share of callers reach the candidate, the others what serves; return once the gateway does so.

        Raises RolloutError when the gateway does not take it in time.
        """


class Rollout:
    """One version's way into one place."""

    def __init__(self, place: Place, version: str, plan: Plan, say: Say) -> None:
        self._place, self._plan, self._say = place, plan, say
        self.version, self.previous = version, place.previous
        self.candidate: dict[str, Report] = {}
        self.shares: dict[int, Report] = {}
        self.watch: Report | None = None
        self.undo_failed = ""
        self._old_answers = place.previous is not None
        self._tolerated = 0.0
        self._shifted = self._replacing = False

    @property
    def begun(self) -> bool:
        """Whether callers may have met the new version."""
        return self._shifted or self._replacing

    def run(self, houses: str, expected: str) -> str:
        """Go all the way, and say in a line how it went; `expected` are the houses with their prices.

        Raises:
            RolloutError: the version did not pass; the old one serves.
            ToolError: a program failed; the old version serves.

        """
        place = self._place
        self._say(f"candidate: {self.version} on its own, which no caller reaches …")
        started = time.monotonic()
        with place.candidate(self._plan.start_seconds) as url:
            self._say(f"it is ready after {time.monotonic() - started:.0f} s; asking for {HOUSES} houses …")
            self._try_candidate(url, houses, expected)
            if shifting := self._old_answers and isinstance(place, ShiftingPlace):
                with self._or_back():  # while the candidate is still there, which callers may be on
                    self._shift(place, houses)
                    self._replace(houses, expected)
        if not shifting:
            with self._or_back():
                self._replace(houses, expected)
        return self._how_it_went()

    def _how_it_went(self) -> str:
        if (seen := self.watch) is None:
            return f"nothing answered before{f', {self.previous} neither' if self.previous else ''}"
        shares = f"shifted by {', '.join(map(str, self.shares))} % of callers, " if self.shares else ""
        lost = f"{seen.lost} lost{f', as {self.previous} did' if self._tolerated else ''}"
        unasked = f", {seen.not_asked:,} not asked" if seen.not_asked else ""
        return f"{shares}asked {seen.requests:,} times meanwhile, {lost}{unasked}, p99 {seen.p99_ms:.1f} ms"

    @contextmanager
    def _or_back(self) -> Iterator[None]:
        try:
            yield
        except BaseException:  # Ctrl-C too
            if self.begun:
                self._undo()
            raise

    def _undo(self) -> None:
        """Bring the old version back; that this fails too must not hide why it was begun."""
        self._say(f"undoing: back to {self.previous or 'nothing'} …")
        ways = [partial(self._place.undo, UNDO_SECONDS)] if self._replacing else []
        if self._shifted and isinstance(self._place, ShiftingPlace):
            ways.insert(0, partial(self._place.shift, 0))  # callers first
        with undisturbed():
            for way in ways:
                try:
                    way()
                except CourseError as error:
                    self.undo_failed = str(error)

    def _try_candidate(self, url: str, houses: str, expected: str) -> None:
        place, rate = self._place, self._plan.compare_rate
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
        broken = [f"does not answer as it should: {new.why_lost()}"] if new.lost else []
        if slow := too_slow(new, old, self._plan):
            broken.append(f"is too slow: {'; '.join(slow)}")
        if broken:
            raise RolloutError(f"{self.version} {'; it '.join(broken)}")
        beside = f" (old: {old.p50_ms:.1f} / {old.p99_ms:.1f})" if old else ""
        self._say(f"prices as offline, p50 / p99 {new.p50_ms:.1f} / {new.p99_ms:.1f} ms{beside}")

    def _shift(self, place: ShiftingPlace, houses: str) -> None:
        """Let a growing share of callers reach the candidate, and judge each share."""
        question = Question(place.url, self._plan.watch_rate, 0, houses, sorted({self.version, *place.answering}))
        for percent in self._plan.shares:
            self._say(f"{percent} % of callers reach {self.version} …")
            self._shifted = True
            with place.watching(question, self._say) as watch:
                place.shift(percent)
                time.sleep(self._plan.step_seconds)
                found = self.shares[percent] = watch.end()
            if broken := self._broken_at(percent, found):
                raise RolloutError(f"at {percent} % of callers: {'; '.join(broken)}")

    def _broken_at(self, percent: int, found: Report) -> list[str]:
        """Name each limit that is broken while a share of callers reaches the candidate."""
        broken = [found.why_lost()] if found.lost > self._tolerated * found.requests else []
        new = found.versions.get(self.version)
        if new is None:
            return [*broken, f"{self.version} never answered at {self._place.url}"]
        if slow := too_slow(new, self._old_beside(found), self._plan):
            broken.append(f"{self.version} is too slow: {'; '.join(slow)}")
        return broken + (self._still_answering(found, "at 100 %") if percent == 100 else [])

    def _old_beside(self, found: Report) -> Latency | None:
        """Give the old version's figures of the same time, else those from beside the candidate."""
        old = [each for name, each in found.versions.items() if name != self.version and each.ok >= ENOUGH_FOR_P50]
        return max(old, key=lambda each: each.ok, default=self.candidate.get("old"))

    def _replace(self, houses: str, expected: str) -> None:
        place, plan = self._place, self._plan
        self._say(f"replacing {self.previous or 'nothing'} by {self.version} …")
        self._replacing = True
        if not self._old_answers:
            place.replace(plan.update_seconds)
            return
        question = Question(place.url, plan.watch_rate, 0, houses, sorted({self.version, *place.answering}))
        with place.watching(question, self._say) as watch:
            try:
                place.replace(plan.update_seconds)
                if self._shifted and isinstance(place, ShiftingPlace):
                    place.shift(0)  # from the candidate to what is the same version now
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
        broken = []
        if found.lost > self._tolerated * found.requests:
            broken.append(f"while {self.version} came in, {found.why_lost()}")
        if self.version not in found.versions:
            broken.append(f"{self.version} never answered at {self._place.url}")
        broken += self._still_answering(found, "after it was replaced")
        if broken:
            raise RolloutError("; ".join(broken))

    def _still_answering(self, found: Report, when: str) -> list[str]:
        old = {name: found.versions.get(name) for name in sorted({*self._place.answering} - {self.version})}
        end = found.seconds - ALONE_SECONDS
        return [f"{name} still answers {when}" for name, each in old.items() if each and each.last_s > end]

    def _judge_alone(self, expected: str) -> None:
        """Ask once more: what was lost while the old version was there, which loses answers, may have been its own."""
        rate = self._plan.compare_rate
        self._say(f"{self.previous} lost answers before; asking {self.version} alone …")
        alone = self._place.ask({"alone": Question(self._place.url, rate, HOUSES / rate, expected, [self.version])})
        if alone["alone"].lost:
            raise RolloutError(f"{self.version} alone does not answer as it should: {alone['alone'].why_lost()}")
