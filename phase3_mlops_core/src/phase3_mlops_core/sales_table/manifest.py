"""The file that names the Parquet files of the sales table; it is renamed into place, so no reader sees half of it."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phase3_mlops_core.errors import PreparationError

TABLE, MANIFEST = "sales", "manifest.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Part(_Frozen):
    """A Parquet file, or a folder of some, and its number of rows; `path` is relative to the table's folder."""

    path: str
    rows: int = Field(ge=1)


class Month(_Frozen):
    """The valid sales of one month: the clean ones, and those that repeat another sale."""

    clean: Part | None = None
    repeats: Part | None = None
    digest: str | None = Field(None, description="SHA-256 of the clean rows' content.")


class DeliveryRecord(_Frozen):
    """What preparation found in one raw file; `held` says why it was quarantined whole."""

    rows: int
    valid: int
    refused: int
    after_as_of: int = Field(0, description="Rows refused for their day alone; a later as_of may let them pass.")
    last_day: dt.date | None = Field(None, description="Day of the newest valid row.")
    held: str | None = None


class Manifest(_Frozen):
    """The state of the table; `in_use` names the raw file that stands for each landed month."""

    build: str
    as_of: dt.date
    rules: str = Field(description="Digest of the rules that made the table.")
    months: dict[str, Month]
    deliveries: dict[str, DeliveryRecord]
    in_use: dict[str, str]
    refused: dict[str, Part] = Field(description="The rows that a rule on one row refuses, by raw file.")


def table_folder(home: Path) -> Path:
    """Say where the table lies."""
    return home / TABLE


def read_manifest(home: Path) -> Manifest | None:
    """Read which files are the table; None if nothing was prepared yet.

    Raises:
        PreparationError: the manifest cannot be understood.

    """
    path = table_folder(home) / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        problem = error.errors()[0]
        raise PreparationError(
            f"{path} is no manifest of this version ({problem['msg']}): move {path.parent} away and prepare again"
        ) from error


def write_manifest(home: Path, manifest: Manifest) -> None:
    """Make these files the table, in one step."""
    path = table_folder(home) / MANIFEST
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
