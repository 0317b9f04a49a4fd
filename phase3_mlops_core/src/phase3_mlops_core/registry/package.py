"""Pack an artifact folder as an MLflow model, and unpack it again without believing what arrived."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phase1_docker_api.model.artifact import FILES, SUMS, save_model
from phase1_docker_api.schemas import REQUIRED_FIELDS, House

from phase3_mlops_core.errors import RegistryError

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from phase1_docker_api.model.house_model import HouseModel

CODE = Path(__file__).with_name("model_code.py")
# What stands in the environment of the server that loads it; both are ours and come with the image.
REQUIREMENTS = ["phase1-docker-api==0.1.0"]
ANSWER = ("price_usd", "low_usd", "high_usd")
EXAMPLE: dict[str, Any] = {name: field.examples[0] for name, field in House.model_fields.items() if field.examples}


def write_artifact(model: HouseModel, folder: Path) -> None:
    """Write the model's files into `folder`, which must not exist yet."""
    saved = save_model(model, folder.parent / f".{folder.name}")
    saved.rename(folder)
    shutil.rmtree(folder.parent / f".{folder.name}")


def digest_of(folder: Path) -> str:
    """SHA-256 of the folder's list of digests, which stands for all its files."""
    return hashlib.sha256((folder / SUMS).read_bytes()).hexdigest()


def verify(folder: Path, sha256: str) -> None:
    """Compare what was fetched with the digest in the registry, before any of it is read as a model.

    Raises:
        RegistryError: a file is missing, changed, or should not be there.

    """
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    if strange := found - {*FILES, SUMS}:
        raise RegistryError(f"refused before it was read: {sorted(strange)[0]} is no part of a model")
    try:
        lines = (folder / SUMS).read_text().splitlines()
        stated = {name: digest for digest, name in (line.split("  ") for line in lines)}
        changed = [name for name in FILES if _sha256(folder / name) != stated.get(name)]
    except (OSError, ValueError) as error:
        raise RegistryError("refused before it was read: a file of the model is missing or broken") from error
    if digest_of(folder) != sha256:
        changed.append(SUMS)
    if changed:
        raise RegistryError(
            f"refused before it was read: {changed[0]} is not what was registered; train again, and find out who "
            "can write into the artifact store"
        )


def signature() -> ModelSignature:
    """By hand: one that is inferred from a complete house would make every column required."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema, TensorSpec

    kinds = {bool: DataType.boolean, int: DataType.double, float: DataType.double, str: DataType.string}
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(kinds[type(value)], name, required=name in REQUIRED_FIELDS) for name, value in EXAMPLE.items()
    ]
    prices: list[ColSpec | TensorSpec] = [ColSpec(DataType.double, name) for name in ANSWER]
    return ModelSignature(Schema(columns), Schema(prices))


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
