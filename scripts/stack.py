#!/usr/bin/env python3
"""Runs a phase's Procfile in the background and stops exactly what it started: what `make phaseN-up` does."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import platform
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import ports

READY_SECONDS = 60.0
STOP_SECONDS = 20.0


class StackError(Exception):
    """What went wrong and what to do about it, for the learner to read."""


@dataclass(frozen=True)
class Process:
    """A process by its pid and start time, which together name it for good: a pid alone is used again."""

    pid: int
    started_at: str | None

    @classmethod
    def now(cls, pid: int) -> Process:
        """Name the process that has this pid now."""
        return cls(pid, started_at(pid))

    def is_alive(self) -> bool:
        """Say whether it still runs, and is not a stranger with its pid."""
        return self.started_at is not None and started_at(self.pid) == self.started_at

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if it still runs."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


@dataclass(frozen=True)
class Check:
    """How to ask whether a service is ready: by a GET that is answered with `status` and `text`, or by a port."""

    name: str
    url: str | None = None
    port: int | None = None
    status: int = 200
    text: str = ""

    def passes(self) -> bool:
        """Ask it once."""
        return (
            answers(self.url, self.status, self.text)
            if self.url
            else self.port is not None and ports.is_busy(self.port)
        )


@dataclass(frozen=True)
class Plan:
    """What a phase's `stack.toml` says: the checks, how long they may take, and what to show when all pass."""

    checks: list[Check]
    ready_seconds: float
    next_steps: str | None = None


@dataclass(frozen=True)
class State:
    """What was started: the supervisor first, then what it started, and the ports."""

    processes: list[Process]
    ports: dict[str, int]


class Phase:
    """One phase's processes, as remembered in `.run/<phase>/`."""

    def __init__(self, folder: str, root: Path = ports.ROOT) -> None:
        self.folder = folder.rstrip("/")
        self.root = root
        self.run = root / ".run" / self.folder
        self.state_file = self.run / "state.json"
        self.log = self.run / "log"

    def up(self) -> None:
        """Start the phase, and return when it answers.

        Raises:
            StackError: a port is held by another program, or the phase died or did not become ready in time.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        with self._one_at_a_time():
            every = ports.read_table(self.root)
            table = ports.of_phase(self.folder, every)
            if self.is_running():
                self._refuse_other(self.table())
                print(f"• {self.folder} is already running at {self.url}")
                return
            self.down()  # a stale state may still name living children
            refuse_busy(table, every)
            print(f"• starting {self.folder} …", flush=True)
            plan = read_plan(self.root / self.folder, table)
            supervisor = self._start(table)
            try:
                self._wait_until_ready(supervisor, table, plan)
            except BaseException:
                self.down()
                raise
            print(f"✓ {self.folder} is ready at {self.url}")

    def _refuse_other(self, table: dict[str, int]) -> None:
        state = self._state()
        if state and state.ports != table:
            raise StackError(
                f"{self.folder} runs at {self.url} already; to move it, first: make {self.folder.split('_')[0]}-down"
            )

    def table(self) -> dict[str, int]:
        """Say where to ask it: on the ports it was started on, while it runs."""
        state = self._state()
        running = state.ports if state and self.is_running() else {}
        return ports.in_use(ports.of_phase(self.folder, ports.read_table(self.root)), running)

    def down(self) -> bool:
        """Stop what `up` started, and nothing else; say whether there was something to stop."""
        alive = self.living()
        if self.is_running():
            # Ask the supervisor only: it passes the signal on, so each service is asked once.
            alive[0].send(signal.SIGTERM)
            alive = wait_until_gone(alive, STOP_SECONDS)
        for number in (signal.SIGTERM, signal.SIGKILL):
            for process in alive:
                process.send(number)
            alive = wait_until_gone(alive, 2)
        existed = self.state_file.exists()
        self.state_file.unlink(missing_ok=True)
        return existed

    def is_running(self) -> bool:
        """Say whether the supervisor lives; services without it are leftovers."""
        state = self._state()
        return state is not None and state.processes[0].is_alive()

    def living(self) -> list[Process]:
        """List what still lives of what was started, with its children, supervisor first."""
        state = self._state()
        alive = [process for process in state.processes if process.is_alive()] if state else []
        return alive + [child for child in descendants([p.pid for p in alive]) if child not in alive]

    @property
    def url(self) -> str:
        """Say where the phase's API answers, once it was started."""
        state = self._state()
        return f"http://127.0.0.1:{next(iter(state.ports.values()))}" if state else "nowhere"

    @property
    def next_steps(self) -> str | None:
        """Say what the phase's `stack.toml` wants to be shown, if it has one."""
        return read_plan(self.root / self.folder, self.table()).next_steps

    def holds(self, port: int) -> bool:
        """Say whether the phase runs and the port is one of its own."""
        state = self._state()
        return state is not None and self.is_running() and port in state.ports.values()

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        return "".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines(True)[-lines:])

    def follow(self) -> Iterator[str]:
        """Yield the end of the log, and then what is added to it until the phase stops."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            yield "".join(log.readlines()[-20:])
            while True:
                running = self.is_running()
                if text := log.read():
                    yield text
                elif not running:
                    return
                else:
                    time.sleep(0.2)

    def _start(self, table: dict[str, int]) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            **{name: str(number) for name, number in table.items()},
            "HOUSE_PORT": str(next(iter(table.values()))),
            "PATH": f"{self.root / '.venv' / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "PYTHONUNBUFFERED": "1",  # else the log lags behind what happened
        }
        environment.pop("PORT", None)  # it chose the port; the supervisor would give it another meaning
        procfile = self.root / self.folder / "Procfile"
        command = [sys.executable, "-m", "honcho", "--no-colour", "-e", os.devnull]
        with self.log.open("wb") as log:
            supervisor = subprocess.Popen(
                [*command, "-d", str(self.root), "-f", str(procfile), "start"],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # outlives this terminal, and its Ctrl-C
            )
        self._remember(supervisor.pid, table)
        return supervisor

    def _wait_until_ready(self, supervisor: subprocess.Popen[bytes], table: dict[str, int], plan: Plan) -> None:
        patience = float(os.environ.get("READY_SECONDS", plan.ready_seconds))
        deadline = time.monotonic() + patience
        for check in plan.checks:
            while not check.passes():
                if supervisor.poll() is not None:
                    raise StackError(f"{self.folder} died at start. Its last words:\n{self.tail()}")
                if time.monotonic() > deadline:
                    late = f"{self.folder} was not ready after {patience:.0f} s ({check.name} did not answer)"
                    raise StackError(f"{late}. Its last words:\n{self.tail()}")
                time.sleep(0.1)
        self._remember(supervisor.pid, table)

    def _remember(self, pid: int, table: dict[str, int]) -> None:
        """Write down who was started, in one step, so that a later `down` can find them."""
        state = State([Process.now(pid), *descendants([pid])], table)
        new = self.state_file.with_suffix(".new")
        new.write_text(json.dumps(asdict(state)), encoding="utf-8")
        new.replace(self.state_file)

    def _state(self) -> State | None:
        try:
            stored = json.loads(self.state_file.read_text(encoding="utf-8"))
            return State([Process(**process) for process in stored["processes"]], stored["ports"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    @contextlib.contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with (self.run / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def started_at(pid: int) -> str | None:
    """Say when a process started, or None if it is gone."""
    stat = Path(f"/proc/{pid}/stat")
    if Path("/proc/self/stat").exists():
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        return None if fields[0] in "ZX" else fields[19]
    state, _, started = _ps("-o", "state=,lstart=", "-p", str(pid)).strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


def descendants(pids: list[int]) -> list[Process]:
    """List the living children of these processes, and theirs."""
    parents = _parents()
    found: list[int] = []
    queue = list(pids)
    while queue:
        parent = queue.pop()
        children = [pid for pid, its_parent in parents.items() if its_parent == parent and pid not in found]
        found += children
        queue += children
    return [process for process in map(Process.now, found) if process.started_at]


def _parents() -> dict[int, int]:
    """Map every process to its parent; from /proc where there is one, as a bare Linux may lack `ps`."""
    if not Path("/proc/self/stat").exists():
        return {int(pid): int(parent) for pid, parent in map(str.split, _ps("-A", "-o", "pid=,ppid=").splitlines())}
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            text = stat.read_text(encoding="utf-8", errors="replace")
            parents[int(stat.parent.name)] = int(text.rpartition(")")[2].split()[1])
    return parents


def _ps(*arguments: str) -> str:
    environment = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, env=environment, check=False).stdout


def wait_until_gone(processes: list[Process], seconds: float) -> list[Process]:
    """Wait for the processes to end; return those that did not."""
    deadline = time.monotonic() + seconds
    while True:
        alive = [process for process in processes if process.is_alive()]
        if not alive or time.monotonic() > deadline:
            return alive
        time.sleep(0.05)


def refuse_busy(table: dict[str, int], every: dict[str, int]) -> None:
    """Name the first port of a phase's table that another program holds, and one that helps, which is none of `every`.

    Raises:
        StackError: a port is held, or the table names none.
    """
    if not table:
        raise StackError("ports.env names no port for this phase")
    for name, port in table.items():
        if ports.is_busy(port):
            advice = ports.how_to_free(name, port, platform.system(), every)
            raise StackError(f"port {port} ({name}) is held by another program.\n  {advice}")


def read_plan(folder: Path, table: dict[str, int]) -> Plan:
    """Read a phase's `stack.toml`, in which {NAME} stands for a port; without one its first port must answer /readyz.

    Raises:
        StackError: the file names a port that the phase does not have.
    """
    file = folder / "stack.toml"
    if not file.exists():
        return Plan([Check("its API", url=f"http://127.0.0.1:{next(iter(table.values()))}/readyz")], READY_SECONDS)
    import tomllib  # only a start needs it, and a stop works with an older Python

    try:
        stored = tomllib.loads(file.read_text(encoding="utf-8").format(**table))
        checks = [Check(**check) for check in stored["ready"]]
        return Plan(checks, stored.get("ready_seconds", READY_SECONDS), stored["next_steps"])
    except (KeyError, TypeError, ValueError) as error:
        raise StackError(f"{file} cannot be used: {error}") from error


def answers(url: str, status: int = 200, text: str = "") -> bool:
    """Say whether a GET is answered with this status and a body with this text; loopback goes through no proxy."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=2) as response:
            return bool(response.status == status) and text in response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code == status
    except (OSError, ValueError):
        return False


def print_next_steps(folder: str, url: str, said: str | None = None) -> None:
    """Show what to do with a phase that was just started; by default, what an API offers."""
    price = """-H 'content-type: application/json' \\
                -d '{"land_area_sqft": 5000, "bedrooms": 3}'"""
    api = f"  a form      {url}/\n  a price     curl -s {url}/predict {price}\n"
    make = f"make {folder.split('_')[0]}"
    print(f"\n{api if said is None else said}  its log     {make}-logs\n  stop it     {make}-down\n")


def print_ports(table: dict[str, int]) -> None:
    """Print the ports as words for `env`."""
    print(*(f"{name}={port}" for name, port in table.items()))


def _down(phase: Phase) -> None:
    print(f"✓ {phase.folder} is stopped" if phase.down() else f"• {phase.folder} was not running")


def _logs(phase: Phase, follow: bool) -> None:
    if not phase.log.exists():
        raise StackError(f"{phase.folder} has no log yet: make {phase.folder.split('_')[0]}-up")
    if not phase.is_running():
        print(f"• {phase.folder} is not running; the end of what it said last:", file=sys.stderr, flush=True)
    for text in phase.follow() if follow else [phase.tail()]:
        print(text, end="", flush=True)


def _status(phase: Phase) -> None:
    print(f"✓ {phase.folder} runs at {phase.url}" if phase.is_running() else f"• {phase.folder} is not running")


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; 1 when it could not be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["up", "down", "logs", "status", "ports"])
    parser.add_argument("phase", nargs="?", help="a phase's folder; down and status without one mean all")
    parser.add_argument("--no-follow", action="store_true", help="logs: print the end of the log and return")
    parser.add_argument("--root", type=Path, default=ports.ROOT, help="the folder that holds ports.env and the phases")
    chosen = parser.parse_args(arguments)
    if chosen.verb in ("up", "logs", "ports") and not chosen.phase:
        parser.error(f"{chosen.verb} needs a phase's folder")
    known = [path.parent.name for path in sorted((chosen.root / ".run").glob("*/log"))]
    try:
        for folder in [chosen.phase] if chosen.phase else known:
            phase = Phase(folder, chosen.root.resolve())
            match chosen.verb:
                case "up":
                    phase.up()
                    print_next_steps(phase.folder, phase.url, phase.next_steps)
                case "down":
                    _down(phase)
                case "logs":
                    _logs(phase, follow=not chosen.no_follow)
                case "status":
                    _status(phase)
                case "ports":
                    print_ports(phase.table())
    except (StackError, ValueError) as error:
        print(f"✗ {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0 if chosen.verb == "logs" else 130
    except BrokenPipeError:  # `make phase1-logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
