"""Exercise 9: pack.sh packs whatever the paths are called, fails when it should, and then changes nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "pack.sh"
# Where tar was told to write, which is after an option that ends in f, else to standard output.
HALF_AN_ARCHIVE = """for word; do case $before in -*f) [ "$word" = - ] || exec >"$word" ;; esac; before=$word; done
printf half"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A folder with reports, an archive of last week, and a place for temporary files."""
    room = tmp_path / "room"
    for folder in ("old reports", "nothing", "my archive", "tmp"):
        (room / folder).mkdir(parents=True)
    for report in ("a b.json", "c.json"):
        (room / "old reports" / report).write_text("{}")
    (room / "my archive" / "rollouts.tar.gz").write_text("last week's")
    return room


def pack(room: Path, *arguments: str, tar: str = "", stop: bool = False) -> tuple[int, str]:
    """Run the script there, with a tar that ends half way like this if given; give exit code and output."""
    environ = os.environ | {"TMPDIR": str(room / "tmp")}
    programs = room.parent / "programs"
    programs.mkdir()
    if tar:
        fake = programs / "tar"
        fake.write_text(f"#!/bin/sh\n{HALF_AN_ARCHIVE}\n{tar}\n")
        fake.chmod(0o755)
        environ["PATH"] = f"{programs}{os.pathsep}{environ['PATH']}"
    with subprocess.Popen(
        ["bash", str(SCRIPT), *arguments],
        cwd=room,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 30
        while stop and process.poll() is None and time.monotonic() < deadline:
            if (programs / "tar.started").exists():
                os.killpg(process.pid, signal.SIGTERM)
                break
            time.sleep(0.05)
        try:
            said, _ = process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
    return process.returncode, said


def contents(room: Path) -> dict[str, str]:
    """Every file and folder, each file with what is in it."""
    return {
        path.relative_to(room).as_posix(): path.read_text(errors="replace") if path.is_file() else ""
        for path in room.rglob("*")
    }


def changed(room: Path, before: dict[str, str]) -> str:
    """The names of what is not as it was before."""
    after = contents(room)
    return ", ".join(sorted(name for name in before | after if before.get(name) != after.get(name)))


def last_line(said: str) -> str:
    return (said.strip().splitlines() or ["no word"])[-1][:160]


def test_paths_with_blanks_are_packed(room: Path) -> None:
    code, said = pack(room, "old reports", "my archive")

    archive = room / "my archive" / "rollouts.tar.gz"
    packs = code == 0 and tarfile.is_tarfile(archive)
    assert packs, f'with FROM "old reports" and INTO "my archive" it packs nothing there; it says: {last_line(said)}'
    with tarfile.open(archive) as packed:
        names = {Path(member.name).name for member in packed if member.isfile()}
    whole = names == {"a b.json", "c.json"} and "2" in said
    assert whole, f"of 2 reports it packed {sorted(names)} and said: {last_line(said)}"


@pytest.mark.parametrize(
    ("why", "source", "into", "tar"),
    [
        ("there are no reports in FROM", "nothing", "my archive", ""),
        ("there is no folder INTO", "old reports", "nowhere", ""),
        ("tar fails half way", "old reports", "my archive", "exit 2"),
    ],
)
def test_a_failure_ends_with_an_error_and_changes_nothing(
    room: Path, why: str, source: str, into: str, tar: str
) -> None:
    before = contents(room)

    code, _ = pack(room, source, into, tar=tar)

    assert code != 0, f"when {why} it still ends with 0"
    different = changed(room, before)
    assert not different, f"when {why} it changes the old archive, or leaves something behind: {different}"


def test_a_script_that_is_told_to_stop_leaves_nothing_behind(room: Path) -> None:
    before = contents(room)

    code, _ = pack(room, "old reports", "my archive", tar='touch "$0.started"; exec sleep 60', stop=True)

    different = changed(room, before)
    assert code != 0 and not different, f"when it is told to stop (SIGTERM) it leaves something behind: {different}"


def test_without_arguments_it_says_how_it_is_used(room: Path) -> None:
    code, said = pack(room)

    usage = code != 0 and "usage" in said.lower()
    assert usage, f"without arguments it does not say how it is used: {last_line(said)}"


def test_shellcheck_has_no_finding() -> None:
    done = subprocess.run([Path(sys.executable).parent / "shellcheck", SCRIPT], capture_output=True)

    assert done.returncode == 0, f"it does its work; now shellcheck has a finding: .venv/bin/shellcheck {SCRIPT}"
