"""Save a model so that a crash leaves the old one in place, and load only what was saved whole and unchanged."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import BaseModel
from pydantic_core import from_json

from phase1_docker_api.errors import ArtifactError
from phase1_docker_api.model.fitted import Arrays, FittedModel
from phase1_docker_api.model.house_model import PROVENANCE, Calibration, Card, HouseModel
from phase1_docker_api.model.typical import Record, TypicalHouses

FILES = ("card.json", "model.npz", "reference.json")
# Beside the files of the model, not one of them: it changes with a new training or new scores of the same model.
PROVENANCE_FILE = "provenance.json"
OLD_FORM = "model.skops"
SUMS = "SHA256SUMS"
CURRENT = "current"
DRAFT = ".draft-"
LOCK = ".lock"
# 2: fitted trees as arrays of our own; 1, without a number, held scikit-learn's.
FORMAT = 2
SERVED, TWIN = "served.", "twin."


class Reference(BaseModel):
    """What stands in for missing fields, and the sales that calibrate the intervals."""

    format: Literal[2]
    typical: TypicalHouses
    calibration_records: list[Record]
    calibration_log_prices: list[float]


@contextmanager
def writing_to(store: Path) -> Iterator[None]:
    """Say what to do when the disk is full or may not be written: such an error names no file by itself.

    Raises:
        ArtifactError: the operating system refused a write.

    """
    try:
        yield
    except OSError as error:
        raise ArtifactError(
            f"cannot write to {store} ({error.strerror}): the current model is unchanged; make room there, "
            "or choose another folder with --store"
        ) from error


def save_model(model: HouseModel, store: Path) -> Path:
    """Write `store/<model_version>/` and let `store/current` point at it; return that folder.

    Each step is one rename, so a reader of `current` finds the old model or the new one, whole. Of a version
    that is there already only the provenance is renewed: the same version means the same answers.

    Raises:
        ArtifactError: the disk is full, or may not be written.

    """
    with writing_to(store):
        store.mkdir(parents=True, exist_ok=True)
        with (store / LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two trainings at once save one after the other
            _sweep(store)
            return _save(model, store)


def _save(model: HouseModel, store: Path) -> Path:
    folder = store / model.card.model_version
    draft = Path(tempfile.mkdtemp(prefix=DRAFT, dir=store))
    try:
        if not _is_whole(folder):
            write_artifact(model, draft / "artifact")
            shutil.rmtree(folder, ignore_errors=True)
            (draft / "artifact").rename(folder)
        elif not _has_provenance(folder, model):
            _write(draft / PROVENANCE_FILE, _provenance(model))
            (draft / PROVENANCE_FILE).replace(folder / PROVENANCE_FILE)
        _point(store / CURRENT, folder.name, draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def load_model(path: Path) -> HouseModel:
    """Read the model in the folder `path`, after checking the digest of every file that prices depend on.

    Raises:
        ArtifactError: a file is missing, differs from its digest, holds something else than a model's numbers,
            or was written by another version of this project.

    """
    folder = path.resolve()
    contents = _checked_contents(folder)
    try:
        card = Card.model_validate(from_json(contents["card.json"]) | from_json(contents[PROVENANCE_FILE]))
        reference = Reference.model_validate_json(contents["reference.json"])
    except (ValueError, TypeError) as error:  # pydantic's ValidationError is a ValueError
        raise _written_by_another(folder) from error
    fitted, twin = _read_fitted(contents["model.npz"], folder)
    calibration = Calibration(twin, reference.calibration_records, np.array(reference.calibration_log_prices))
    return HouseModel(fitted, reference.typical, calibration, card)


def _read_fitted(content: bytes, folder: Path) -> tuple[FittedModel, FittedModel]:
    """Digests prove that nothing changed since it was saved, not who saved it; so it is read with suspicion."""
    try:
        with np.load(BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        fitted, twin = (
            FittedModel.from_arrays(
                {name.removeprefix(whose): a for name, a in arrays.items() if name.startswith(whose)}
            )
            for whose in (SERVED, TWIN)
        )
    except Exception as error:  # a pickle, a broken archive, other arrays: a strange file can fail in any way
        raise ArtifactError(f"{folder}/model.npz is not what was saved here: train again") from error
    return fitted, twin


def _part(arrays: Arrays, whose: str) -> Arrays:
    return {name.removeprefix(whose): array for name, array in arrays.items() if name.startswith(whose)}


def _fitted_file(fitted: FittedModel, twin: FittedModel) -> bytes:
    file, parts = BytesIO(), {SERVED: fitted.arrays(), TWIN: twin.arrays()}
    arrays = {f"{whose}{name}": array for whose, arrays in parts.items() for name, array in arrays.items()}
    np.savez(file, allow_pickle=False, **arrays)
    return file.getvalue()


def write_artifact(model: HouseModel, folder: Path) -> None:
    """Write the model into a new folder, from which `load_model` reads it.

    Raises:
        OSError: the folder is there already, or the disk refused a write.

    """
    folder.mkdir()
    reference = Reference(
        format=FORMAT,
        typical=model.typical,
        calibration_records=model.calibration.records,
        calibration_log_prices=model.calibration.log_prices.tolist(),
    )
    contents = {
        "card.json": model.card.model_dump_json(indent=2, exclude=set(PROVENANCE)).encode(),
        "model.npz": _fitted_file(model.fitted, model.calibration.twin),
        "reference.json": reference.model_dump_json().encode(),
    }
    for name, content in {**contents, PROVENANCE_FILE: _provenance(model), SUMS: _sums(contents)}.items():
        _write(folder / name, content)


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _provenance(model: HouseModel) -> bytes:
    return model.card.model_dump_json(indent=2, include=set(PROVENANCE)).encode()


def _has_provenance(folder: Path, model: HouseModel) -> bool:
    path = folder / PROVENANCE_FILE
    return path.is_file() and path.read_bytes() == _provenance(model)


def _sums(contents: dict[str, bytes]) -> bytes:
    """The same form as `sha256sum` writes, so that `sha256sum -c SHA256SUMS` checks it too."""
    return "".join(f"{hashlib.sha256(contents[name]).hexdigest()}  {name}\n" for name in FILES).encode()


def _is_whole(folder: Path) -> bool:
    try:
        _checked_contents(folder)
    except ArtifactError:
        return False
    return True


def _checked_contents(folder: Path) -> dict[str, bytes]:
    try:
        contents = {name: (folder / name).read_bytes() for name in FILES}
        provenance, stated = ((folder / name).read_bytes() for name in (PROVENANCE_FILE, SUMS))
    except OSError as error:
        if (folder / OLD_FORM).exists():
            raise _written_by_another(folder) from error
        raise ArtifactError(f"no whole model in {folder} ({error.strerror}): make one with `phase1 train`") from error
    if stated != _sums(contents):
        raise ArtifactError(
            f"{folder} was changed after it was saved: compare with `sha256sum -c {SUMS}`, or train again"
        )
    return {**contents, PROVENANCE_FILE: provenance}


def _written_by_another(folder: Path) -> ArtifactError:
    return ArtifactError(f"{folder} was written by another version of this project: train again")


def _point(link: Path, target: str, draft: Path) -> None:
    new = draft / CURRENT
    new.symlink_to(target)
    new.replace(link)


def _sweep(store: Path) -> None:
    """Remove what a training that was killed has left behind."""
    for leftover in store.glob(f"{DRAFT}*"):
        shutil.rmtree(leftover, ignore_errors=True)
