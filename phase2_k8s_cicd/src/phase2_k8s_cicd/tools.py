"""Run the programs that others have written (kubectl, docker, kind), and say plainly what is wrong when one fails."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from phase2_k8s_cicd.errors import ToolError

ROOT = Path(__file__).resolve().parents[3]
INSTALL = {
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "docker": "https://docs.docker.com/get-docker/",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "go": "https://go.dev/doc/install",
}


def run(
    command: Sequence[str],
    stdin: str | None = None,
    timeout_s: float = 600,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a command at the repository's root and give what it printed.

    Raises:
        ToolError: the program is missing, failed, or did not end in time; its own words are in the message.

    """
    try:
        done = subprocess.run(  # noqa: S603 - programs named by this package, never by a caller
            command,
            input=stdin,
            cwd=ROOT,
            env=os.environ | (environ or {}),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise ToolError(_missing(command[0])) from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{' '.join(command[:4])} … did not end within {timeout_s:.0f} s") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise ToolError(f"{' '.join(command[:4])} … failed: {words}")
    return done.stdout


def succeeds(command: Sequence[str], timeout_s: float = 60) -> bool:
    """Say whether a command that only asks something ends well.

    Raises:
        ToolError: there is no answer: the program is missing, or did not end in time.

    """
    try:
        run(command, timeout_s=timeout_s)
    except ToolError as error:
        if error.__cause__:
            raise
        return False
    return True


def show(command: Sequence[str]) -> None:
    """Run a long command and let it show its progress.

    Raises:
        ToolError: the program is missing or failed; what it printed says why.

    """
    try:
        done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - as above
    except FileNotFoundError as error:
        raise ToolError(_missing(command[0])) from error
    if done.returncode:
        raise ToolError(f"{' '.join(command[:3])} … failed; the lines above say why")


@contextmanager
def undisturbed() -> Iterator[None]:
    """Be deaf to what tells to stop, as are the programs started meanwhile: what was begun is brought back."""
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a closed terminal sends the last, and its shell once more
    heard = {number: signal.signal(number, signal.SIG_IGN) for number in stops}
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def _missing(program: str) -> str:
    where = f": {INSTALL[program]}" if program in INSTALL else " or correct its name"
    return f"there is no {program} on the PATH; install it{where}"
