"""Read gate.toml: each threshold of the gate, with the reason for it."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from phase3_mlops_core.errors import GateError

FIGURES = (
    "sales", "gain_pct", "gain_low_pct", "worst_area_gain_pct", "worst_price_band_gain_pct", "coverage_low",
    "coverage_high", "off_by_pct", "beats_baseline_pct", "refit_moved_pct", "refit_width_ratio", "served_off_cents",
    "artifact_mb", "predict_ms",
)  # fmt: skip


class Threshold(BaseModel):
    """A bound on one figure: at least, or at most; and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: float | None = None
    most: float | None = None
    why: str

    @model_validator(mode="after")
    def _one_bound(self) -> Threshold:
        if (self.least is None) == (self.most is None):
            raise ValueError("give one of `least` and `most`")
        return self

    def holds(self, value: float) -> bool:
        """Whether the value keeps to the bound; zero gain is no gain, so `least` itself is not enough for 0."""
        if self.least is not None:
            return value > 0 if self.least == 0 else value >= self.least
        return self.most is not None and value <= self.most

    @property
    def bound(self) -> str:
        """In words, for the table."""
        if self.least is not None:
            return "above 0" if self.least == 0 else f"at least {self.least:g}"
        return f"at most {self.most:g}"


def read_thresholds(file: Path | None = None) -> dict[str, Threshold]:
    """Read a gate.toml; by default the one that comes with the package.

    Raises:
        GateError: it cannot be read, lacks a threshold, or names one that the gate does not know.

    """
    try:
        text = file.read_text() if file else files(__package__).joinpath("gate.toml").read_text(encoding="utf-8")
        read = TypeAdapter(dict[str, Threshold]).validate_python(tomllib.loads(text))
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        raise GateError(f"{file or 'gate.toml'} cannot be used: {error}") from error
    if wrong := set(read) ^ set(FIGURES):
        raise GateError(f"{file or 'gate.toml'}: {', '.join(sorted(wrong))} is missing, or no figure of the gate")
    return {name: read[name] for name in FIGURES}
