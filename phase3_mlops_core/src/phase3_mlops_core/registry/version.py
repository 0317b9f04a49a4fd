"""What a version in the registry is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Version:
    """One version in the registry: its number, the model version it holds, and its story in tags."""

    number: int
    run_id: str
    tags: Mapping[str, str]

    @property
    def model_version(self) -> str:
        """What the service calls it, such as `trees-2012-02-1a2b3c4d`."""
        return self.tags["model_version"]

    def __str__(self) -> str:
        return f"version {self.number} ({self.model_version})"
