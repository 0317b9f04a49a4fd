"""The promotion log: one line a decision, appended and flushed to disk, never changed."""

from __future__ import annotations

import datetime as dt
import fcntl
import getpass
import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

FILE = "promotions.jsonl"


class Promotion(BaseModel):
    """Who made which version champion, on what grounds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    as_of: str = Field(
        pattern=r"^\d{4}-\d{2}$", description="Month whose sales decided it; it serves from the next on."
    )
    decided_at: dt.datetime = Field(description="When, by the clock.")
    who: str
    from_version: int | None = Field(description="Number of the champion before it; none at the first promotion.")
    to_version: int
    model_version: str
    why: str
    figures: dict[str, float]
    data_sha256: str
    run_id: str


def log_file(home: Path) -> Path:
    """Where the log stands."""
    return home / FILE


def append(home: Path, promotion: Promotion) -> None:
    """Write one line and wait until it is on disk; a line that was cut by a crash stays cut, alone."""
    home.mkdir(parents=True, exist_ok=True)
    with log_file(home).open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        whole = file.read(1) in (b"", b"\n")
        file.write((b"" if whole else b"\n") + promotion.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(home: Path) -> list[Promotion]:
    """All promotions, oldest first; a line that a crash has cut is no promotion."""
    try:
        lines = log_file(home).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    return [promotion for line in lines if (promotion := _parsed(line))]


def champion_at(promotions: list[Promotion], month: str) -> Promotion | None:
    """The newest decision that was made on the sales of `month` or earlier ones."""
    return next((promotion for promotion in reversed(promotions) if promotion.as_of <= month), None)


def disagreements(promotions: list[Promotion], aliases: Mapping[str, int]) -> list[str]:
    """Say where the log and the registry's alias differ, and what puts it right."""
    logged = promotions[-1].to_version if promotions else None
    named = aliases.get("champion")
    if logged == named:
        return []
    if logged is None:
        return [f"the registry calls version {named} champion, the log holds no promotion: somebody set it by hand"]
    advice = f"finish it with `phase3 promote --version {logged}`"
    return [f"the log says version {logged} is champion, the registry says {named or 'none is'}: {advice}"]


def who_am_i() -> str:
    """The user's name as the system knows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        return f"uid {os.getuid()}"


def _parsed(line: bytes) -> Promotion | None:
    try:
        return Promotion.model_validate_json(line)
    except ValidationError:
        return None
