"""Run the programs that others have written (kubectl, docker, kind), and say plainly what is wrong when one fails."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from phase2_k8s_cicd.errors import MissingToolError, ToolError, ToolTimeoutError

Say = Callable[[str], None]
ROOT = Path(__file__).resolve().parents[3]
INSTALL = {
    "kubectl": "https://kubernetes.io/docs/tasks/tools/",
    "docker": "https://docs.docker.com/get-docker/",
    "kind": "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    "go": "https://go.dev/doc/install",
    "aws": "https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
}


def run(
    command: Sequence[str],
    stdin: str | None = None,
    timeout_s: float = 600,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Run a command at the repository's root and give what it printed.

    Raises:
        MissingToolError: there is no such program.
        ToolTimeoutError: it did not end in time.
        ToolError: it failed; its own words are in the message.

    """
    try:
        done = subprocess.run(  # noqa: S603 - programs named by this package, never by a caller
            command,
            input=stdin,
            cwd=ROOT,
            env=inherited(**(environ or {})),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise _missing(command[0]) from error
    except subprocess.TimeoutExpired as error:
        raise ToolTimeoutError(f"{' '.join(command[:4])} … did not end within {timeout_s:.0f} s") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise ToolError(f"{' '.join(command[:4])} … failed: {words}")
    return done.stdout


def succeeds(command: Sequence[str], timeout_s: float = 60) -> bool:
    """Say whether a command that only asks something ends well.

    Raises:
        MissingToolError: there is no such program.
        ToolTimeoutError: it did not end in time, so there is no answer.

    """
    try:
        run(command, timeout_s=timeout_s)
    except (MissingToolError, ToolTimeoutError):
        raise
    except ToolError:
        return False
    return True


def show(command: Sequence[str]) -> None:
    """Run a long command and let it show its progress.

    Raises:
        MissingToolError: there is no such program.
        ToolError: it failed; what it printed says why.

    """
    try:
        done = subprocess.run(command, cwd=ROOT, env=inherited(), check=False)  # noqa: S603 - as above
    except FileNotFoundError as error:
        raise _missing(command[0]) from error
    if done.returncode:
        raise ToolError(f"{' '.join(command[:3])} … failed; the lines above say why")


def inherited(**own: str) -> dict[str, str]:
    """Give the environment of a program that is started here: ours, and variables of its own."""
    return {"DOCKER_BUILDKIT": "1", **os.environ, **own}  # the Dockerfiles need BuildKit; old dockers must be told


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore stop signals, as do the programs started meanwhile: what was begun is brought back."""
    stops = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # a closed terminal sends the last, and its shell once more
    heard = {number: signal.signal(number, signal.SIG_IGN) for number in stops}
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def _missing(program: str) -> MissingToolError:
    where = f": {INSTALL[program]}" if program in INSTALL else " or correct its name"
    return MissingToolError(f"there is no {program} on the PATH; install it{where}")
