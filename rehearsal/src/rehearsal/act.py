"""Run a workflow of a commit by act: programs of this computer instead of a runner, stand-ins instead of actions."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from phase1_docker_api.errors import CourseError
from phase2_k8s_cicd.cluster.cluster import LOCAL_HOSTS
from phase2_k8s_cicd.tools import ROOT, run

from rehearsal.progress import Progress
from rehearsal.runs import Run, tidy

HOME = ROOT / ".tools" / "act"
LOCK = ROOT / "locks" / "act.txt"
STAND_INS = ROOT / "rehearsal"
REPOSITORY = "rehearsal/house-prices"
ACTION = re.compile(r"uses: ([\w.-]+/[\w.-]+)@([0-9a-f]{40})")
# Younger than the newest act: where called workflows lie, and how long a queue of waiting jobs may get. And jobs of a
# matrix go side by side however few jobs may: here they would spoil each other.
FOR_ACT = (
    (re.compile(r"uses: \$/"), "uses: ./"),
    (re.compile(r"^ +queue: max\n", re.MULTILINE), ""),
    (re.compile(r"^( +)strategy:\n", re.MULTILINE), r"\g<0>\1  max-parallel: 1\n"),
)
RUNNER = "ubuntu-24.04"
# What a make around this one was told is not meant for those inside.
OURS = {
    "COMMIT",
    "WORKTREE",
    "PROD",
    "WORKFLOW",
    "JOB",
    "REASON",
    "FROM",
    "VERSION",
    "REFERENCE",
    "OVERLAY",
    "REGISTRY",
    "LOAD_IMAGE",
    "VIRTUAL_ENV",
}
# Whatever a step tries, no account of this computer's user is at hand; a stand-in for AWS on loopback may be.
NO_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "rehearsal",
    "AWS_SECRET_ACCESS_KEY": "rehearsal",  # what a stand-in takes, and AWS refuses
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
SHELLS = {"bash", "sh", "make", "gmake"}


def install() -> None:
    """Get act as its lock says, apart from everything else, unless it is there."""
    have = HOME / "installed.txt"
    if have.exists() and have.read_text() == LOCK.read_text():
        return
    run(["scripts/uv", "venv", "--quiet", "--clear", "--no-project", "--python", ".venv/bin/python", str(HOME)])
    run(["scripts/uv", "pip", "install", "--quiet", "--python", str(HOME), "--require-hashes", "-r", str(LOCK)])
    have.write_text(LOCK.read_text())


def prepare(this: Run, origin: Path, commit: str) -> Path:
    """Lay out the folder that act starts in: the commit, with workflows that act can read.

    Jobs do not see this folder; they check the commit out for themselves.
    """
    work = this.folder / "work"
    run(["git", "clone", "--quiet", "--shared", "--no-checkout", str(origin), str(work)])
    run(["git", "-C", str(work), "checkout", "--quiet", "-B", "main", commit])
    run(["git", "-C", str(work), "remote", "set-url", "origin", f"https://github.com/{REPOSITORY}"])
    for path in (work / ".github" / "workflows").glob("*.yml"):
        text = path.read_text()
        for pattern, instead in FOR_ACT:
            text = pattern.sub(instead, text)
        path.write_text(text)
    return work


def stand_ins(work: Path) -> list[str]:
    """Give act's options that put a folder of ours in each action's place.

    Raises:
        CourseError: nothing stands in for an action.

    """
    texts = [path.read_text() for path in (work / ".github" / "workflows").glob("*.yml")]
    options = []
    for name, digest in sorted({found for text in texts for found in ACTION.findall(text)}):
        folder = STAND_INS / "actions" / name
        if not (folder / "action.yml").exists():
            raise CourseError(f"nothing stands in for the action {name}: write {folder.relative_to(ROOT)}/action.yml")
        options.append(f"--local-repository={name}@{digest}={folder}")
    return options


def environment(this: Run, origin: Path, registry: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Give what steps find in their environment: this computer's, and what stand-ins need."""
    foreign = ("MAKE", "MFLAGS", "AWS_", "TF_VAR_")
    kept = {name: value for name, value in environ.items() if not name.startswith(foreign) and name not in OURS}
    endpoint = environ.get("AWS_ENDPOINT_URL", "")
    if urlsplit(endpoint).hostname in LOCAL_HOSTS:
        kept["AWS_ENDPOINT_URL"] = endpoint
    path = [str(STAND_INS / "bin"), str(ROOT / ".tools" / "bin"), environ["PATH"]]
    return (
        kept
        | NO_ACCOUNT
        | {
            "PATH": os.pathsep.join(path),
            "GIT_PAGER": "cat",  # a step has a terminal, and nobody to turn pages
            "REHEARSAL_ORIGIN": str(origin),
            "REHEARSAL_REGISTRY": registry,
            "REHEARSAL_RUN": str(this.folder),
            "RUN_URL": this.log.as_uri(),
        }
    )


def perform(
    this: Run, work: Path, workflow: str, options: Sequence[str], environ: Mapping[str, str], show: Progress
) -> int:
    """Run a workflow and show how it goes; give act's exit code.

    Ctrl-C, and SIGTERM, are passed to the programs of the step that runs, so that they undo what they began; a second
    one kills.
    """
    command = [str(HOME / "bin" / "act"), f"--workflows=.github/workflows/{workflow}", "--json"]
    command += ["--no-skip-checkout", "--no-cache-server", "--concurrent-jobs=1", "--pull=false"]
    # act takes the first system of a matrix for those of all: what another one would do, it must be told to leave out.
    command += [f"--platform={RUNNER}=-self-hosted", f"--matrix=os:{RUNNER}", f"--action-cache-path={this.desk()}"]
    command += [f"--env=GITHUB_RUN_ID={this.number}", *stand_ins(work), *options]
    held = this.held.fileno()
    # A file and no pipe: if this process is killed, act goes on to the end, as GitHub does when a browser is closed.
    events = this.folder / "events.jsonl"
    with events.open("w") as file:
        started = subprocess.Popen(  # noqa: S603 - the program that the lock names
            command,
            cwd=work,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[held],  # whoever comes next waits for it
        )
    asked_to_stop = False
    with events.open() as file, this.log.open("w") as log:
        following = _events(started, file)
        while True:
            try:
                for event in following:
                    show.take(event, log)
                break
            except KeyboardInterrupt:
                _stop(started.pid, at_once=asked_to_stop)
                if not asked_to_stop:
                    show.say("stopping; what was begun is undone first (Ctrl-C again: at once)")
                asked_to_stop = True
                following = _events(started, file)
    tidy(this.folder)
    if asked_to_stop:
        raise KeyboardInterrupt
    return started.wait()


def _events(started: subprocess.Popen[bytes], file: IO[str]) -> Iterator[dict[str, Any]]:
    """Give what act writes, until it has ended."""
    begun = ""
    while True:
        over = started.poll() is not None
        while line := file.readline():
            begun += line
            if begun.endswith("\n"):
                yield _event(begun)
                begun = ""
        if over:
            return
        time.sleep(0.1)


def _event(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:  # it has words of its own before it begins
        found = None
    return found if isinstance(found, dict) else {"msg": line, "level": "error"}


def _stop(act: int, at_once: bool) -> None:
    """End what a step runs, not the shell around it: act then sees a step that failed, and tidies up."""
    for pid, program in _descendants(act):
        if at_once or Path(program).name.removeprefix("-") not in SHELLS:
            _signal(pid, signal.SIGKILL if at_once else signal.SIGINT)
    if at_once:
        _signal(act, signal.SIGKILL)


def _descendants(parent: int) -> Iterator[tuple[int, str]]:
    table = [line.split(None, 2) for line in run(["ps", "-A", "-o", "pid=,ppid=,comm="]).splitlines()]
    for pid, above, program in table:
        if int(above) == parent:
            yield int(pid), program
            yield from _descendants(int(pid))


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
