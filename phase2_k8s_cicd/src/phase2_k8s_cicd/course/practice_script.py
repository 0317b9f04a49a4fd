"""The exercise on Bash: a careless script, run where its author never ran it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from phase1_docker_api.course.practice import DONE, Exercise

from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.tools import ROOT, run

SCRIPT = ROOT / "phase2_k8s_cicd/exercises/pack.sh"
TOOLS = "make .venv/.installed-dev"
# Where tar was told to write, which is after an option that ends in f, else to standard output.
HALF_AN_ARCHIVE = """for word; do case $before in -*f) [ "$word" = - ] || exec >"$word" ;; esac; before=$word; done
printf half"""


def script_is_for_strangers(url: str) -> str:
    """The script packs whatever the paths are called, fails when it should, and then leaves everything as it was."""
    with pack_room() as room:
        code, said = pack(room, "old reports", "my archive")
        archive = room / "my archive" / "rollouts.tar.gz"
        if code or not tarfile.is_tarfile(archive):
            return f'with FROM "old reports" and INTO "my archive" it packs nothing there; it says: {last_line(said)}'
        with tarfile.open(archive) as packed:
            names = {Path(member.name).name for member in packed if member.isfile()}
        if names != {"a b.json", "c.json"} or "2" not in said:
            return f"of 2 reports it packed {sorted(names)} and said: {last_line(said)}"
    for why, from_, into, tar in (
        ("there are no reports in FROM", "nothing", "my archive", ""),
        ("there is no folder INTO", "old reports", "nowhere", ""),
        ("tar fails half way", "old reports", "my archive", "exit 2"),
    ):
        with pack_room() as room:
            before = contents(room)
            code, _ = pack(room, from_, into, tar=tar)
            if not code:
                return f"when {why} it still ends with 0"
            if contents(room) != before:
                return f"when {why} it changes the old archive, or leaves something behind: {changed(room, before)}"
    with pack_room() as room:
        before = contents(room)
        code, _ = pack(room, "old reports", "my archive", tar='touch "$0.started"; exec sleep 30', end_it=True)
        if not code or contents(room) != before:
            return f"when it is told to stop (SIGTERM) it leaves something behind: {changed(room, before)}"
        code, said = pack(room)
        if not code or "usage" not in said.lower():
            return f"without arguments it does not say how it is used: {last_line(said) or 'no word'}"
    return passes("shellcheck", SCRIPT)


@contextmanager
def pack_room() -> Iterator[Path]:
    """Give a folder with reports, an archive of last week, and a place for temporary files."""
    with TemporaryDirectory() as name:
        room = Path(name)
        for folder in ("old reports", "nothing", "my archive", "tmp"):
            (room / folder).mkdir()
        for report in ("a b.json", "c.json"):
            (room / "old reports" / report).write_text("{}")
        (room / "my archive" / "rollouts.tar.gz").write_text("last week's")
        yield room


def pack(room: Path, *arguments: str, tar: str = "", end_it: bool = False) -> tuple[int, str]:
    """Run the learner's script there, with a tar that ends half way like this if given; give exit code and words."""
    environ = os.environ | {"TMPDIR": str(room / "tmp")}
    with TemporaryDirectory() as programs:
        if tar:
            fake = Path(programs) / "tar"
            fake.write_text(f"#!/bin/sh\n{HALF_AN_ARCHIVE}\n{tar}\n")
            fake.chmod(0o755)
            environ["PATH"] = f"{programs}{os.pathsep}{environ['PATH']}"
        command = ["bash", str(SCRIPT), *arguments]
        with subprocess.Popen(  # noqa: S603 - the learner's own script
            command,
            cwd=room,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            deadline = time.monotonic() + 10
            while end_it and process.poll() is None and time.monotonic() < deadline:
                if (Path(programs) / "tar.started").exists():
                    os.killpg(process.pid, signal.SIGTERM)
                    break
                time.sleep(0.05)
            try:
                said, _ = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said, _ = process.communicate()
    return process.returncode, said


def contents(room: Path) -> dict[str, str]:
    """Name every file and folder, each file with what is in it."""
    return {
        path.relative_to(room).as_posix(): path.read_text(errors="replace") if path.is_file() else ""
        for path in room.rglob("*")
    }


def changed(room: Path, before: dict[str, str]) -> str:
    """Name what is not as it was before."""
    after = contents(room)
    return ", ".join(sorted(name for name in before | after if before.get(name) != after.get(name))) or "nothing"


def passes(program: str, file: Path, *options: str) -> str:
    """Say what a checker finds first, and how to see the rest."""
    tool = Path(sys.executable).parent / program
    if not tool.exists():
        return f"{program} is not installed: {TOOLS}"
    try:
        run([str(tool), *options, str(file)])
    except ToolError:
        words = " ".join([f".venv/bin/{program}", *options, file.relative_to(ROOT).as_posix()])
        return f"it does its work; now {program} has something to say: {words}"
    return DONE


def last_line(words: str) -> str:
    """Give what a program said last."""
    return (words.strip().splitlines() or [""])[-1][:160]


EXERCISES = {
    9: Exercise(
        "pack.sh works for strangers",
        "bash",
        script_is_for_strangers,
        (
            "docs/phase2/bash.md has all that it needs. Begin with strict mode and with quotes; then ask of each line "
            "what is left behind when the next one fails. What is INTO, relative, after a cd?",
            "set -euo pipefail; from=${1:?usage: …}; refuse an empty FROM; work=$(mktemp -d) and a trap; inside "
            '( … ) cd "$from" && tar -cf - -- *.json | gzip >"$work/…"; at last mv it to "$into". Nothing is written '
            "to INTO before it is whole.",
        ),
    ),
}
