"""Doubles for the tests of this phase and of every later one: a place that follows a script, a cluster in memory."""

from __future__ import annotations

import json
import signal
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from phase2_k8s_cicd.cluster.cluster import Cluster
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.rollout.probe import OfVersion, Question, Report
from phase2_k8s_cicd.tools import Say

STOPS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}


def report(lost: int = 0, p50_ms: float = 3, p99_ms: float = 10, **last_s: float) -> Report:
    """Make a report on 12 seconds and 200 requests; each keyword is a version and the second of its last answer."""
    versions = {
        name: OfVersion(ok=100, p50_ms=p50_ms, p99_ms=p99_ms, first_s=0, last_s=last) for name, last in last_s.items()
    }
    return Report(
        url="http://house",
        started_at="2026-01-01T00:00:00Z",
        seconds=12,
        requests=200,
        ok=200 - lost,
        lost=lost,
        p50_ms=p50_ms,
        p99_ms=p99_ms,
        max_ms=p99_ms,
        versions=versions,
        lost_by_kind={"reset": lost} if lost else {},
        losses=[{"detail": "connection reset by peer"}] if lost else [],
    )


@dataclass
class ToyPlace:
    """A rollout.Place by script: what is found about new, old and the watch, and which step fails.

    `done` lists what a rollout did, `asked` what it asked.
    """

    previous: str | None = "v1"
    new: Report = field(default_factory=report)
    old: Report = field(default_factory=report)
    watched: Report = field(default_factory=lambda: report(v1=8, v2=12))
    alone: Report = field(default_factory=report)
    fails: BaseException | None = None
    undo_fails: BaseException | None = None
    url: str = "http://house"
    answering: Collection[str] = frozenset({"v1"})
    done: list[str] = field(default_factory=list)
    asked: dict[str, Question] = field(default_factory=dict)
    undo_timeout_s: float = 0
    ignored: frozenset[int] = frozenset()

    @contextmanager
    def candidate(self, timeout_s: float) -> Iterator[str]:
        """Be there at once."""
        self.done.append("candidate")
        try:
            yield "http://candidate"
        finally:
            self.done.append("candidate gone")

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Report]:
        """Give the report of each name."""
        self.asked |= questions
        return {name: {"new": self.new, "old": self.old, "alone": self.alone}[name] for name in questions}

    @contextmanager
    def watching(self, question: Question, say: Say) -> Iterator[ToyPlace]:
        """Be the watch too."""
        self.asked["watch"] = question
        yield self

    def end(self) -> Report:
        """Give what the watch saw."""
        return self.watched

    def replace(self, timeout_s: float) -> None:
        """Do it, or fail."""
        self.done.append("replaced")
        if self.fails:
            raise self.fails

    def undo(self, timeout_s: float) -> None:
        """Do it, or fail; keep which signals were ignored meanwhile."""
        self.done.append("undone")
        self.undo_timeout_s = timeout_s
        self.ignored = frozenset(number for number in STOPS if signal.getsignal(number) is signal.SIG_IGN)
        if self.undo_fails:
            raise self.undo_fails


@dataclass
class ToyShiftingPlace(ToyPlace):
    """A place that can shift callers; `at` is what the watch sees at each share."""

    at: dict[int, Report] = field(default_factory=dict)
    share: int = 0

    def shift(self, percent: int) -> None:
        """Do it."""
        self.share = percent
        self.done.append(f"{percent} %")

    def end(self) -> Report:
        """Give what the watch saw at this share; at 0 % it is the watch of the replacing."""
        return self.at.get(self.share, self.watched) if self.share else self.watched


@dataclass(frozen=True)
class MemoryCluster(Cluster):
    """A cluster that is a dictionary of objects by kind/name."""

    context: str = "memory"
    server: str = "https://127.0.0.1"
    overlay: str = "local"
    image: str | None = "127.0.0.1:5000/house:v2"
    objects: dict[str, Any] = field(default_factory=dict)

    def serving(self) -> str | None:
        """Name `image`."""
        return self.image

    def get(self, kind: str, name: str) -> Any:
        """Read one object."""
        return self.objects.get(f"{kind}/{name}")

    def create(self, manifest: Any) -> None:
        """Add one object; ToolError when there is one of this name."""
        name = f"{manifest['kind'].lower()}/{manifest['metadata'].get('name')}"
        if name in self.objects:
            raise ToolError("it exists")
        self.objects[name] = manifest | {"metadata": manifest["metadata"] | {"resourceVersion": "1"}}

    def delete(self, *arguments: str) -> None:
        """Take objects away."""
        for each in arguments:
            self.objects.pop(each, None)

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_s: float = 120) -> str:
        """Replace, annotate or patch an object; a JSON patch may test and replace."""
        match arguments[0]:
            case "replace":
                self._replace(json.loads(stdin or ""))
            case "annotate":
                self.objects[arguments[1]]["annotated"] = arguments[2]
            case "patch":
                self._patch(arguments)
            case verb:
                raise ToolError(f"a cluster in memory has no {verb}")
        return ""

    def _replace(self, manifest: Any) -> None:
        if manifest["kind"] == "Lease" and manifest["metadata"].get("resourceVersion") != "1":
            raise ToolError("the object has been modified")
        self.objects[f"{manifest['kind'].lower()}/{manifest['metadata']['name']}"] = manifest

    def _patch(self, arguments: tuple[str, ...]) -> None:
        name = "/".join(each for each in arguments[1:] if not each.startswith("-"))
        patch = next(each for each in arguments if each.startswith("--patch=")).removeprefix("--patch=")
        for change in json.loads(patch):
            *path, last = change["path"].strip("/").split("/")
            found = self.objects[name]
            for part in path:
                found = found[int(part) if isinstance(found, list) else part]
            key = int(last) if isinstance(found, list) else last
            if change["op"] == "test" and found[key] != change["value"]:
                raise ToolError("the test failed")
            if change["op"] == "replace":
                found[key] = change["value"]
