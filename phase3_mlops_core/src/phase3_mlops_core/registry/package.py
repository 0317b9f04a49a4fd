"""Pack an artifact folder as an MLflow model, and unpack it again without believing what arrived."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from phase1_docker_api.schemas import REQUIRED_FIELDS, House

from phase3_mlops_core.errors import RegistryError

if TYPE_CHECKING:
    from mlflow.models import ModelSignature

CODE = Path(__file__).with_name("model_code.py")
# What stands in the environment of the server that loads it; both are ours and come with the image.
REQUIREMENTS = ["phase1-docker-api==0.1.0"]
ANSWER = ("price_usd", "low_usd", "high_usd")
EXAMPLE: dict[str, Any] = {name: field.examples[0] for name, field in House.model_fields.items() if field.examples}


def digest_of(folder: Path) -> str:
    """SHA-256 of the names and contents of all files in the folder, and of nothing else."""
    files = sorted(folder.iterdir())
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files if file.is_file()]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def verify(folder: Path, sha256: str) -> None:
    """Compare what was fetched with the digest in the registry, before any of it is read as a model.

    Raises:
        RegistryError: a file is missing, changed, or should not be there.

    """
    if strange := [path.name for path in folder.iterdir() if path.is_symlink() or not path.is_file()]:
        raise RegistryError(f"refused before it was read: {strange[0]} is no file of a model")
    if digest_of(folder) != sha256:
        raise RegistryError(
            "refused before it was read: what the artifact store holds is not what was registered; train again, "
            "and find out who can write there"
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
