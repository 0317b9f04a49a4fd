"""What rollcheck is asked to do, and what it found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from phase2_k8s_cicd.errors import ToolError


@dataclass(frozen=True)
class Question:
    """Ask a service at a steady rate: `seconds` long, or until it is ended when that is 0.

    `houses` is a file of rollcheck's as text; `versions` are those that may answer, all when there are none.
    """

    url: str
    rate: float
    seconds: float
    houses: str
    versions: Sequence[str] = ()
    timeout_seconds: float = 5

    def arguments(self, houses_path: str) -> list[str]:
        """Give rollcheck's arguments, when the houses lie at this path."""
        known = [f"-versions={','.join(self.versions)}"] if self.versions else []
        timing = [f"-rate={self.rate:g}", f"-duration={self.seconds:g}s", f"-timeout={self.timeout_seconds:g}s"]
        return [*timing, f"-houses={houses_path}", "-report=-", *known, self.url]


class OfVersion(BaseModel):
    """The good answers of one version; seconds count from the report's start."""

    ok: int
    p50_ms: float
    p99_ms: float
    first_s: float
    last_s: float


class Report(BaseModel):
    """What rollcheck found; its README explains each field."""

    url: str
    started_at: str
    seconds: float
    requests: int
    ok: int
    lost: int
    not_asked: int = 0  # rollcheck itself could not send these; the service never saw them
    p50_ms: float
    p99_ms: float
    max_ms: float
    versions: dict[str, OfVersion]
    lost_by_kind: dict[str, int]
    losses: list[dict[str, Any]]

    def why_lost(self) -> str:
        """Count what was lost by kind, with the first one's own words."""
        kinds = ", ".join(f"{number} {kind}" for kind, number in self.lost_by_kind.items())
        first = f" (the first: {self.losses[0]['detail']})" if self.losses else ""
        return f"{self.lost} of {self.requests} answers were lost: {kinds}{first}"


class Watch(Protocol):
    """A rollcheck that goes on until it is ended."""

    def end(self) -> Report:
        """Stop asking, and give what was found."""


def report_in(output: str) -> Report:
    """Find the report in what rollcheck printed; it is the last line.

    Raises:
        ToolError: there is none; what it printed instead is in the message.

    """
    last = next((line for line in reversed(output.splitlines()) if line.startswith("{")), None)
    if last is None:
        raise ToolError(f"rollcheck ended without a report: {output.strip()[-500:] or 'it said nothing'}")
    try:
        return Report.model_validate_json(last)
    except ValidationError as error:
        raise ToolError(f"rollcheck's report cannot be read: {error}") from error
