#!/usr/bin/env python3
"""Builds a phase's image and runs it with no rights it does not need: what `make phaseN-up RUNTIME=docker` does."""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import ports
import stack
from stack import StackError

IMAGE = "house-price-api"
# What the service needs is in the image and in memory: it writes no file and asks the kernel for nothing special.
HARDENED = ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--memory", "512m"]
LABEL = "org.opencontainers.image"


class Container:
    """One phase's container; `.run/<phase>/container` remembers that the phase runs in one."""

    def __init__(self, folder: str, root: Path = ports.ROOT) -> None:
        self.folder = folder.rstrip("/")
        self.root = root
        # Two clones on one computer must not stop each other's.
        clone = hashlib.sha256(bytes(root.resolve())).hexdigest()[:6]
        self.name = f"house-price-{self.folder.split('_')[0]}-{clone}"
        self.chosen = root / ".run" / self.folder / "container"

    def up(self) -> None:
        """Build the image, run it, and return when it answers.

        Raises:
            StackError: no engine answers, the build failed, the port is held, or the service died at start.
        """
        require_engine()
        if self.url:
            print(f"• {self.folder} is already running at {self.url}")
            return
        every = ports.read_table(self.root)
        table = ports.of_phase(self.folder, every)
        stack.refuse_busy(table, every)
        self.build()
        self.down()  # one that has ended still holds the name
        try:
            self._run(next(iter(table.values())))
            self._wait_until_ready()
        except BaseException:
            self.down()
            raise
        print(f"✓ {self.folder} is ready at {self.url}")

    def build(self) -> None:
        """Build the image, showing Docker's progress, and label it with the commit, and with CREATED if that is given.

        Raises:
            StackError: the build failed.
        """
        labels = {"revision": self._commit(), "created": os.environ.get("CREATED")}
        arguments = [f"--label={LABEL}.{name}={value}" for name, value in labels.items() if value]
        command = ["docker", "build", "--file", f"{self.folder}/Dockerfile", "--tag", IMAGE, *arguments, "."]
        environment = {"DOCKER_BUILDKIT": "1", **os.environ}
        if subprocess.run(command, cwd=self.root, env=environment, check=False).returncode:
            raise StackError("the image was not built; the lines above say why")

    def down(self) -> bool:
        """Stop and remove the container; say whether there was one."""
        require_engine()
        existed = not docker("container", "inspect", self.name).returncode
        docker("stop", self.name)
        docker("rm", "--force", self.name)
        self.chosen.unlink(missing_ok=True)
        return existed

    @property
    def url(self) -> str | None:
        """Say where it answers, if it runs."""
        address = docker("port", self.name, "5000/tcp").stdout.strip()
        return f"http://{address}" if address else None

    def table(self) -> dict[str, int]:
        """Say where to ask it: on the port it was started on, while it runs."""
        table = ports.of_phase(self.folder, ports.read_table(self.root))
        running = {next(iter(table)): int(self.url.rpartition(":")[2])} if self.url else {}
        return ports.in_use(table, running)

    def holds(self, port: int) -> bool:
        """Say whether it runs and the port is its own."""
        return self.chosen.exists() and self.url == f"http://127.0.0.1:{port}"

    def logs(self, follow: bool) -> None:
        """Show the end of what it said, and what it says from now on."""
        require_engine()
        if docker("container", "inspect", self.name).returncode:
            raise StackError(f"{self.folder} runs in no container: make {self.folder.split('_')[0]}-up RUNTIME=docker")
        subprocess.run(["docker", "logs", "--tail", "20", *["--follow"] * follow, self.name], check=False)

    def _run(self, port: int) -> None:
        self.chosen.parent.mkdir(parents=True, exist_ok=True)
        self.chosen.touch()
        publish = f"127.0.0.1:{port}:5000"
        done = docker("run", "--detach", "--name", self.name, "--publish", publish, *HARDENED, IMAGE)
        if done.returncode:
            raise StackError(f"the container did not start: {done.stderr.strip()}")

    def _wait_until_ready(self) -> None:
        patience = float(os.environ.get("READY_SECONDS", stack.READY_SECONDS))
        deadline = time.monotonic() + patience
        while not (self.url and stack.answers(f"{self.url}/readyz")):
            if not self.url:
                raise StackError(f"{self.folder} died at start. Its last words:\n{self._last_words()}")
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.folder} was not ready after {patience:.0f} s. Its last words:\n{self._last_words()}"
                )
            time.sleep(0.1)

    def _last_words(self) -> str:
        done = docker("logs", "--tail", "20", self.name)
        return done.stdout + done.stderr

    def _commit(self) -> str | None:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False)
        return done.stdout.strip() or None


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a docker command that says little; without Docker it fails like any other."""
    try:
        return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "there is no docker command on the PATH")


def require_engine() -> None:
    """Say what is missing, and that the phase runs without it.

    Raises:
        StackError: no engine answers.
    """
    done = docker("version", "--format", "{{.Server.Version}}")
    if done.returncode:
        raise StackError(
            f"no Docker engine answers: {done.stderr.strip()}\n"
            "  start Docker, or do without:  make phase1-up RUNTIME=process"
        )


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 1 when it could not be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["build", "up", "down", "logs", "ports"])
    parser.add_argument("phase", nargs="?", help="a phase's folder; down without one means all")
    parser.add_argument("--no-follow", action="store_true", help="logs: print the end of the log and return")
    parser.add_argument("--root", type=Path, default=ports.ROOT, help="the folder that holds ports.env and the phases")
    asked = parser.parse_args(arguments)
    if asked.verb != "down" and not asked.phase:
        parser.error(f"{asked.verb} needs a phase's folder")
    root = asked.root.resolve()
    known = [path.parent.name for path in sorted((root / ".run").glob("*/container"))]
    try:
        for folder in [asked.phase] if asked.phase else known:
            _do(asked.verb, Container(folder, root), follow=not asked.no_follow)
    except (StackError, ValueError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0 if asked.verb == "logs" else 130
    return 0


def _do(verb: str, container: Container, follow: bool) -> None:
    match verb:
        case "build":
            require_engine()
            container.build()
        case "up":
            container.up()
            stack.print_next_steps(container.folder, container.url or "nowhere")
        case "down":
            print(f"✓ {container.folder} is stopped" if container.down() else f"• {container.folder} was not running")
        case "logs":
            container.logs(follow)
        case "ports":
            stack.print_ports(container.table())


if __name__ == "__main__":
    sys.exit(main())
