"""Room: code. A saved model is loaded whole and unchanged or not at all, and a crash leaves the old one in place."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from phase1_docker_api.errors import ArtifactError
from phase1_docker_api.model.artifact import (
    CURRENT,
    DRAFT,
    FILES,
    PROVENANCE_FILE,
    SUMS,
    load_model,
    save_model,
    write_artifact,
)
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House
from phase1_docker_api.testing import SEATTLE
from phase1_docker_api.training.sales import records_of

DYING = Path(__file__).with_name("dying_saves.py")


@pytest.fixture
def artifact(linear_artifact: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return shutil.copytree(linear_artifact, tmp_path / "spoilt")


@pytest.fixture
def newer(linear_model: HouseModel) -> HouseModel:
    """A model of another version."""
    return renamed(linear_model, "newer")


def renamed(model: HouseModel, version: str) -> HouseModel:
    return replace(model, card=model.card.model_copy(update={"model_version": version}))


def reseal(artifact: Path) -> None:
    """Write digests that fit what is there, as anyone can who can write there."""
    lines = [f"{hashlib.sha256((artifact / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (artifact / SUMS).write_text("".join(lines))


def read_arrays(artifact: Path) -> dict[str, np.ndarray]:
    with np.load(artifact / "model.npz", allow_pickle=False) as file:
        return dict(file)


def write_arrays(artifact: Path, arrays: dict[str, Any]) -> None:
    np.savez(artifact / "model.npz", **arrays)
    reseal(artifact)


def drafts(store: Path) -> list[Path]:
    return list(store.glob(f"{DRAFT}*"))


# Round trip


@pytest.mark.parametrize("estimator", ["trees", "linear"])
def test_a_model_prices_as_before_once_it_was_saved_and_loaded(
    request: pytest.FixtureRequest, seattle_sales: pd.DataFrame, estimator: str
) -> None:
    model: HouseModel = request.getfixturevalue(f"{estimator}_model")
    houses = [House(**r) for r in records_of(seattle_sales.sample(300, random_state=3))]
    houses += [House(land_area_sqft=h.land_area_sqft, bedrooms=h.bedrooms) for h in houses]

    loaded = load_model(request.getfixturevalue(f"{estimator}_artifact"))

    assert loaded.estimate(houses) == model.estimate(houses)
    assert loaded.card == model.card


def test_the_digests_have_the_form_that_sha256sum_checks(linear_artifact: Path) -> None:
    lines = (linear_artifact / SUMS).read_text().splitlines()

    stated = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert stated == {name: hashlib.sha256((linear_artifact / name).read_bytes()).hexdigest() for name in FILES}
    assert {path.name for path in linear_artifact.iterdir()} == {*FILES, SUMS, PROVENANCE_FILE}


@pytest.mark.parametrize("estimator", ["trees", "linear"])
def test_a_saved_model_is_numbers_and_text_and_nothing_else(request: pytest.FixtureRequest, estimator: str) -> None:
    arrays = read_arrays(request.getfixturevalue(f"{estimator}_artifact"))

    assert {array.dtype.kind for array in arrays.values()} == set("Uif")


@pytest.mark.parametrize("estimator", ["trees", "linear"])
def test_a_loaded_model_has_the_numbers_that_were_saved(request: pytest.FixtureRequest, estimator: str) -> None:
    model: HouseModel = request.getfixturevalue(f"{estimator}_model")

    loaded = load_model(request.getfixturevalue(f"{estimator}_artifact"))

    for ours, theirs in ((model.fitted, loaded.fitted), (model.calibration.twin, loaded.calibration.twin)):
        before, after = ours.arrays(), theirs.arrays()
        assert {name: np.array_equal(before[name], after[name]) for name in before} == dict.fromkeys(after, True)


def test_the_newest_model_is_current_and_older_ones_stay(tmp_path: Path, linear_model: HouseModel) -> None:
    for version in ("first", "second"):
        save_model(renamed(linear_model, version), tmp_path)

    assert load_model(tmp_path / CURRENT).card.model_version == "second"
    assert load_model(tmp_path / "first").card.model_version == "first"
    assert not drafts(tmp_path)


def test_a_version_that_is_saved_twice_stays_as_it_is(tmp_path: Path, linear_model: HouseModel) -> None:
    first = save_model(linear_model, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}

    second = save_model(linear_model, tmp_path)

    assert second == first
    assert {path.name: path.stat().st_mtime_ns for path in second.iterdir()} == before


def test_the_same_version_saved_again_has_the_newer_scores(tmp_path: Path, linear_model: HouseModel) -> None:
    first = save_model(linear_model, tmp_path)
    before = (first / "model.npz").stat().st_mtime_ns

    second = save_model(linear_model.with_scores(linear_model.card.scores[:3]), tmp_path)

    assert second == first
    assert (first / "model.npz").stat().st_mtime_ns == before
    assert load_model(tmp_path / CURRENT).card.scores == linear_model.card.scores[:3]


def test_an_artifact_can_be_written_and_read_without_a_store(tmp_path: Path, linear_model: HouseModel) -> None:
    write_artifact(linear_model, tmp_path / "anywhere")

    loaded = load_model(tmp_path / "anywhere")

    house = House(land_area_sqft=5000, bedrooms=3)
    assert loaded.card == linear_model.card
    assert loaded.estimate([house]) == linear_model.estimate([house])
    assert [path.name for path in tmp_path.iterdir()] == ["anywhere"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}"])
def test_a_damaged_provenance_is_noticed_and_renewed(tmp_path: Path, linear_model: HouseModel, content: bytes) -> None:
    folder = save_model(linear_model, tmp_path)
    (folder / PROVENANCE_FILE).write_bytes(content)
    with pytest.raises(ArtifactError, match="train again"):
        load_model(folder)

    save_model(linear_model, tmp_path)

    assert load_model(folder).card == linear_model.card


def test_a_damaged_version_is_mended_by_saving_it_again(tmp_path: Path, linear_model: HouseModel) -> None:
    folder = save_model(linear_model, tmp_path)
    (folder / "card.json").write_bytes(b"")

    save_model(linear_model, tmp_path)

    assert load_model(tmp_path / CURRENT).card == linear_model.card


def test_saving_an_older_version_again_makes_it_current(tmp_path: Path, linear_model: HouseModel) -> None:
    for version in ("first", "second", "first"):
        save_model(renamed(linear_model, version), tmp_path)

    assert load_model(tmp_path / CURRENT).card.model_version == "first"


def test_a_store_can_be_moved(tmp_path: Path, linear_model: HouseModel) -> None:
    save_model(linear_model, tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")

    assert load_model(tmp_path / "there" / CURRENT).card == linear_model.card


# Damage


@pytest.mark.parametrize("name", [*FILES, SUMS])
def test_a_single_changed_bit_is_noticed(artifact: Path, name: str) -> None:
    content = (artifact / name).read_bytes()
    chance = random.Random(name)  # noqa: S311 - a sample, the same every time
    places = {0, len(content) - 1, *(chance.randrange(len(content)) for _ in range(20))}

    for place in places:
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << chance.randrange(8)
        (artifact / name).write_bytes(spoilt)
        with pytest.raises(ArtifactError, match="was changed after it was saved"):
            load_model(artifact)


@pytest.mark.parametrize("name", [*FILES, SUMS])
@pytest.mark.parametrize("left", [0, 1, 0.5, -1], ids=["nothing", "a byte", "half", "all but a byte"])
def test_a_file_cut_off_is_noticed(artifact: Path, name: str, left: float) -> None:
    content = (artifact / name).read_bytes()
    (artifact / name).write_bytes(content[: int(left) if left in (0, 1, -1) else len(content) // 2])

    with pytest.raises(ArtifactError, match="was changed after it was saved"):
        load_model(artifact)


@pytest.mark.parametrize("name", [*FILES, SUMS, PROVENANCE_FILE])
def test_a_missing_file_is_noticed(artifact: Path, name: str) -> None:
    (artifact / name).unlink()

    with pytest.raises(ArtifactError, match="make one with `phase1 train`"):
        load_model(artifact)


def test_where_there_is_no_model_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / CURRENT).symlink_to("gone")

    for path in ("empty", "file", CURRENT, "nowhere"):
        with pytest.raises(ArtifactError, match="make one with `phase1 train`"):
            load_model(tmp_path / path)


def test_a_mix_of_two_models_is_noticed(artifact: Path, trees_artifact: Path) -> None:
    shutil.copy(trees_artifact / "reference.json", artifact)

    with pytest.raises(ArtifactError, match="was changed after it was saved"):
        load_model(artifact)


# Strangers: the digests fit, but somebody else wrote the files


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch '{self.trace}'",)


def test_the_bomb_of_the_next_tests_goes_off_when_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Bomb(tmp_path / "trace")))  # noqa: S301 - that is what is shown

    assert (tmp_path / "trace").exists()


def test_a_pickle_under_the_model_s_name_is_refused_and_runs_nothing(artifact: Path, tmp_path: Path) -> None:
    (artifact / "model.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "trace")))
    reseal(artifact)

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)
    assert not (tmp_path / "trace").exists()


def test_an_array_of_objects_is_refused_and_runs_nothing(artifact: Path, tmp_path: Path) -> None:
    write_arrays(artifact, read_arrays(artifact) | {"served.coefficients": np.array([Bomb(tmp_path / "trace")])})
    with np.load(artifact / "model.npz", allow_pickle=True) as file:
        assert file["served.coefficients"].dtype.hasobject  # as whoever is less careful would read it
    (tmp_path / "trace").unlink()

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)
    assert not (tmp_path / "trace").exists()


def test_a_pickle_in_the_place_of_every_array_is_refused_and_runs_nothing(artifact: Path, tmp_path: Path) -> None:
    names = list(read_arrays(artifact))
    with zipfile.ZipFile(artifact / "model.npz", "w") as archive:
        for name in names:
            archive.writestr(f"{name}.npy", pickle.dumps(Bomb(tmp_path / "trace")))
    reseal(artifact)

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)
    assert names
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize("kind", ["os.system", "Bomb", "trees", "Pipeline"])
def test_a_file_can_name_no_kind_but_its_own(artifact: Path, kind: str) -> None:
    write_arrays(artifact, read_arrays(artifact) | {"served.kind": np.array(kind)})

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)


@pytest.mark.parametrize(
    "other",
    [{}, {"a": np.arange(3)}, {"served.kind": np.array("linear"), "twin.kind": np.array("linear")}],
    ids=repr,
)
def test_arrays_of_something_else_are_refused(artifact: Path, other: dict[str, Any]) -> None:
    write_arrays(artifact, other)

    with pytest.raises(ArtifactError, match="train again"):
        load_model(artifact)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"PK\x05\x06" + b"\0" * 18, b"\x93NUMPY\x01\x00"],
    ids=["nothing", "text", "an empty zip", "half a header"],
)
def test_what_is_no_file_of_arrays_is_refused(artifact: Path, content: bytes) -> None:
    (artifact / "model.npz").write_bytes(content)
    reseal(artifact)

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)


# What each does to the arrays of the trees; node 0 is a root that splits.
WRONG_TREES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a child outside all trees": lambda a: a["first_children"].__setitem__(0, 10**12),
    "a second child outside all trees": lambda a: a["first_children"].__setitem__(0, len(a["values"]) - 1),
    "a child before the first tree": lambda a: a["first_children"].__setitem__(0, -(10**12)),
    "a node that leads back": lambda a: a["first_children"].__setitem__(a["first_children"][0], 0),
    "a split made a leaf": lambda a: a["first_children"].__setitem__(0, 0),
    "a leaf that splits": lambda a: a["thresholds"].__setitem__(leaf(a), 1.0),
    "a column too many": lambda a: a["columns"].__setitem__(0, 10**6),
    "a column before the first": lambda a: a["columns"].__setitem__(0, -3),
    "no threshold": lambda a: a["thresholds"].__setitem__(0, np.nan),
    "no value": lambda a: a["values"].__setitem__(-1, np.inf),
    "no start": lambda a: a.update(start=np.array(np.nan)),
    "two starts": lambda a: a.update(start=np.zeros(2)),
    "a value too few": lambda a: a.update(values=a["values"][:-1]),
    "values of another type": lambda a: a.update(values=a["values"].astype(np.float32)),
    "thresholds of another type": lambda a: a.update(thresholds=np.zeros(len(a["thresholds"]), int)),
    "children that are no whole numbers": lambda a: a.update(first_children=a["first_children"].astype(float)),
    "nodes in rows": lambda a: a.update({name: a[name].reshape(1, -1) for name in ("columns", "values")}),
    "no tree": lambda a: a.update(roots=np.array(0)),
    "more trees than nodes": lambda a: a.update(roots=np.array(len(a["values"]) + 1)),
    "names that are no text": lambda a: a.update(names=np.arange(len(a["names"]))),
    "a name twice": lambda a: a["names"].__setitem__(0, a["names"][1]),
    "nothing at all": lambda a: a.clear(),
}


def leaf(arrays: dict[str, Any]) -> int:
    return int(np.flatnonzero(np.isinf(arrays["thresholds"]))[0])


@pytest.mark.parametrize("wrong", WRONG_TREES)
def test_trees_that_lead_astray_are_refused_before_they_are_walked(
    trees_artifact: Path, tmp_path: Path, wrong: str
) -> None:
    artifact = shutil.copytree(trees_artifact, tmp_path / "spoilt")
    arrays, whose = read_arrays(artifact), "served."
    of_trees = {name.removeprefix(whose): arrays.pop(name) for name in [*arrays] if name.startswith(whose)}
    WRONG_TREES[wrong](of_trees)
    write_arrays(artifact, arrays | {f"{whose}{name}": array for name, array in of_trees.items()})

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)


@pytest.mark.parametrize("array", ["names", "means", "scales", "coefficients"])
@pytest.mark.parametrize("wrong", ["too short", "too long", "a number", "two rows", "not finite"])
def test_numbers_of_a_linear_model_that_do_not_fit_are_refused(artifact: Path, array: str, wrong: str) -> None:
    numbers = (arrays := read_arrays(artifact))[name := f"served.{array}"]
    others = {
        "too short": numbers[:-1],
        "too long": np.append(numbers, numbers[:1]),
        "a number": numbers[0],
        "two rows": np.stack([numbers, numbers]),
        "not finite": np.full(numbers.shape, np.nan),
    }
    write_arrays(artifact, arrays | {name: others[wrong]})

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)


@pytest.mark.parametrize("column", [-1, 10**6])
def test_a_term_of_an_unknown_column_is_refused(artifact: Path, column: int) -> None:
    terms = (arrays := read_arrays(artifact))["served.terms"]
    terms[0] = column
    write_arrays(artifact, arrays | {"served.terms": terms})

    with pytest.raises(ArtifactError, match="is not what was saved here"):
        load_model(artifact)


@pytest.mark.parametrize("number", [None, 1, 3])
def test_a_model_of_another_format_is_told_to_be_trained_again(artifact: Path, number: int | None) -> None:
    reference = json.loads((artifact / "reference.json").read_bytes())
    reference = {name: value for name, value in reference.items() if name != "format"}
    (artifact / "reference.json").write_text(json.dumps(reference | ({"format": number} if number else {})))
    reseal(artifact)

    with pytest.raises(ArtifactError, match="another version of this project: train again"):
        load_model(artifact)


def test_a_model_in_the_form_of_an_earlier_version_is_told_apart_from_none(artifact: Path) -> None:
    (artifact / "model.npz").rename(artifact / "model.skops")

    with pytest.raises(ArtifactError, match="another version of this project: train again"):
        load_model(artifact)


@pytest.mark.parametrize("name", ["card.json", "reference.json", PROVENANCE_FILE])
def test_files_of_another_version_of_this_project_are_refused(artifact: Path, name: str) -> None:
    content = json.loads((artifact / name).read_bytes())
    content.popitem()
    (artifact / name).write_text(json.dumps(content))
    reseal(artifact)

    with pytest.raises(ArtifactError, match="another version of this project"):
        load_model(artifact)


# Crashes


@pytest.mark.parametrize(
    ("owner", "step", "call"),
    [
        (tempfile, "mkdtemp", 1),
        (Path, "mkdir", 2),
        *((Path, "open", call) for call in (1, 3, 4, 5, 6, 7)),  # the second looks whether it is there already
        *((os, "fsync", call) for call in (1, 2, 3, 4, 5)),
        (Path, "rename", 1),
        (Path, "symlink_to", 1),
        (Path, "replace", 1),
    ],
)
def test_a_save_that_fails_leaves_the_old_model_current(
    tmp_path: Path,
    linear_model: HouseModel,
    newer: HouseModel,
    monkeypatch: pytest.MonkeyPatch,
    owner: object,
    step: str,
    call: int,
) -> None:
    save_model(linear_model, tmp_path)
    original, calls = getattr(owner, step), []

    def fails_once(*args: object, **options: object) -> object:
        calls.append(args)
        if len(calls) == call:
            raise OSError(28, "No space left on device")
        return original(*args, **options)

    with monkeypatch.context() as broken, pytest.raises(ArtifactError, match="No space left"):
        broken.setattr(owner, step, fails_once)
        save_model(newer, tmp_path)

    assert load_model(tmp_path / CURRENT).card == linear_model.card
    assert not drafts(tmp_path)
    save_model(newer, tmp_path)
    assert load_model(tmp_path / CURRENT).card == newer.card


def test_a_save_that_is_killed_at_any_step_leaves_a_whole_model_current(artifact: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, DYING, artifact, tmp_path / "store"], capture_output=True, text=True, check=True, timeout=120
    )

    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert [r["killed"] for r in rounds] == [True] * (len(rounds) - 1) + [False]
    assert len(rounds) > 10
    assert [r["current"] for r in rounds] == sorted((r["current"] for r in rounds), key=["old", "new"].index)
    assert {r["current"] for r in rounds} == {"old", "new"}
    assert {r["later"] for r in rounds} == {"new"}
    assert any(r["drafts_after_kill"] for r in rounds)
    assert not any(r["drafts_after_later"] for r in rounds)


@pytest.mark.slow
def test_a_training_that_is_killed_leaves_the_old_model_current(tmp_path: Path) -> None:
    def start(estimator: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "phase1_docker_api", "train", "--sales", str(SEATTLE), "--until", "2011-12-31"]
        command += ["--estimator", estimator, "--store", str(tmp_path)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    started = time.monotonic()
    assert start("linear").wait(120) == 0
    whole_run_s = time.monotonic() - started
    old = load_model(tmp_path / CURRENT).card
    chance = random.Random(66)  # noqa: S311 - moments, the same every time

    for number in range(10):
        with start("trees") as training:
            if number % 2:  # while it saves, which is short
                while not drafts(tmp_path) and training.poll() is None:
                    time.sleep(0.001)
                time.sleep(chance.uniform(0, 0.5))
            else:
                time.sleep(chance.uniform(0, whole_run_s))
            training.send_signal(signal.SIGKILL)
        # A kill that came late finds the save done; then what it made is whole, and the old one is put back.
        if load_model(tmp_path / CURRENT).card != old:
            assert load_model(tmp_path / CURRENT).card.estimator == "trees"
            shutil.rmtree((tmp_path / CURRENT).resolve())
            (tmp_path / CURRENT).unlink()
            (tmp_path / CURRENT).symlink_to(old.model_version)

    assert start("trees").wait(120) == 0
    assert load_model(tmp_path / CURRENT).card.estimator == "trees"
    assert load_model(tmp_path / old.model_version).card == old
    assert not drafts(tmp_path)
