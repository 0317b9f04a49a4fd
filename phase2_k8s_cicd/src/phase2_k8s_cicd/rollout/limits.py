"""What a rollout waits for and tolerates, and which of its limits a report breaks."""

from __future__ import annotations

from typing import Protocol

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

# Of fewer answers than these, half and one in a hundred are no figures to judge by.
ENOUGH_FOR_P50, ENOUGH_FOR_P99 = 20, 100


class Plan(BaseSettings):
    """How long a rollout waits and what it tolerates; each can come from ROLLOUT_ and its name in capitals."""

    model_config = SettingsConfigDict(env_prefix="ROLLOUT_", frozen=True, extra="ignore")

    wait_seconds: float = Field(0, ge=0, description="How long to wait for the end of another rollout there.")
    start_seconds: int = Field(90, ge=5, description="How long a candidate may take until it is ready.")
    update_seconds: int = Field(240, ge=10, description="How long replacing all pods may take.")
    compare_rate: float = Field(25, gt=0, le=200, description="Requests a second to each of old and new.")
    watch_rate: float = Field(50, gt=0, le=500, description="Requests a second while the old version is replaced.")
    steps: str = Field(
        "5,25,100",
        pattern=r"^\d{1,3}(,\d{1,3})*$",
        description="Shares of callers in percent that reach the candidate, one after the other, where a gateway can "
        "shift them.",
    )
    step_seconds: float = Field(8, ge=1, description="How long each share is watched before the next.")
    settle_seconds: float = Field(
        8, ge=7, description="How long to ask on when all is replaced; in the last two the new version answers alone."
    )
    slower_times: float = Field(
        3, ge=1, description="How many times the old version's p50, p99 and share of lost answers are tolerated,"
    )
    p50_slack_ms: float = Field(2, ge=0, description="so much on top of p50,")
    p99_slack_ms: float = Field(50, ge=0, description="and so much of p99, which is noisy on a small machine.")

    @field_validator("steps")
    @classmethod
    def _climb(cls, steps: str) -> str:
        shares = [int(step) for step in steps.split(",")]
        if shares != sorted(set(shares)) or not 1 <= shares[0] <= shares[-1] <= 100:
            raise ValueError("give shares from 1 to 100 that grow, as 5,25,100")
        return steps

    @property
    def shares(self) -> list[int]:
        """The shares of callers in percent, the smallest first."""
        return [int(step) for step in self.steps.split(",")]


class Latency(Protocol):
    """What a report says about all its answers, or about those of one version."""

    ok: int
    p50_ms: float
    p99_ms: float


def too_slow(new: Latency, old: Latency | None, plan: Plan) -> list[str]:
    """Name each limit of latency that the new version breaks; without an old one fixed figures are expected."""
    than = "the old version" if old else "expected are"
    broken = []
    for claim, enough, took, before, slack in (
        ("half of its answers take", ENOUGH_FOR_P50, new.p50_ms, old.p50_ms if old else 10.0, plan.p50_slack_ms),
        ("one answer in a hundred takes", ENOUGH_FOR_P99, new.p99_ms, old.p99_ms if old else 100.0, plan.p99_slack_ms),
    ):
        if new.ok >= enough and took > before * plan.slower_times + slack:
            broken.append(f"{claim} {took:.1f} ms or more, {than} {before:.1f} ms")
    return broken
