"""Versions as processes of this machine: two replicas behind a real gateway, replaced one after the other.

What a cluster does is in plain sight here: a gateway that asks each replica whether it is ready, a replica that is
started again when it ends, and a drain that lets the gateway forget it first.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import httpx
from phase1_docker_api.errors import ServiceError
from phase1_docker_api.service.launch import wait_until_ready
from pydantic_settings import BaseSettings, SettingsConfigDict

from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.gateway import Gateway
from phase2_k8s_cicd.rollout.probe import Question, Report, report_in
from phase2_k8s_cicd.tools import ROOT, Say, inherited, run

HOST = "127.0.0.1"
REPLICAS = ("a", "b")
# The gateway asks every second, so three are enough for it to forget a replica that says no.
DRAIN_SECONDS = "3"
HEADER = "x-service-version"


class Local(BaseSettings):
    """Where on this machine; the ports are the phase's lines of ports.env, which is where `make` reads them."""

    model_config = SettingsConfigDict(env_prefix="PHASE2_", env_file=ROOT / "ports.env", frozen=True, extra="ignore")

    gateway_port: int
    a_port: int
    b_port: int
    candidate_port: int
    run_folder: Path = ROOT / ".run" / "phase2_k8s_cicd"

    def port_of(self, replica: str) -> int:
        """Give a replica's port."""
        return {"a": self.a_port, "b": self.b_port}[replica]


def become_gateway(local: Local) -> None:
    """Turn this process into the gateway in front of both replicas."""
    gateway_of(local).become()


def gateway_of(local: Local) -> Gateway:
    """Give the gateway, which can let callers reach a candidate beside the replicas."""
    return Gateway(
        url=f"http://{HOST}:{local.gateway_port}",
        file=local.run_folder / "routes.yaml",
        serving=[f"http://{HOST}:{local.port_of(replica)}" for replica in REPLICAS],
        candidate=f"http://{HOST}:{local.candidate_port}",
    )


def keep_replica(replica: str, local: Local) -> None:
    """Run a replica, and start it again whenever it ends, until this process is told to stop."""
    stopping = threading.Event()
    child: subprocess.Popen[bytes] | None = None

    def stop(number: int, _: object) -> None:
        stopping.set()
        if child:
            child.send_signal(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping.is_set():
        child = _serve(local.port_of(replica), _wanted_version(local))
        _pid_file(local, replica).write_text(str(child.pid))
        code = child.wait()
        if code and not stopping.wait(1):  # not in a tight circle when it cannot start
            print(f"replica {replica} ended with code {code}; starting it again", flush=True)


class Processes:
    """The two replicas, about to get `version`; see rollout.Place."""

    def __init__(self, local: Local, version: str, rollcheck: Path) -> None:
        self._local, self.version, self._rollcheck = local, version, rollcheck
        self._gateway, self._end = gateway_of(local), signal.SIGINT
        self.url = self._gateway.url
        self.previous = answering(self.url)
        self.answering = {self.previous} if self.previous else frozenset[str]()

    @contextmanager
    def candidate(self, timeout_s: float) -> Iterator[str]:
        """Start a third process, which no caller reaches until `shift` lets some."""
        port = self._local.candidate_port
        url = f"http://{HOST}:{port}"
        if is_busy(port):
            raise RolloutError(
                f"port {port}, where the candidate would listen, is held by another program: end it, or choose a free "
                "one:  PHASE2_CANDIDATE_PORT=… make rollout"
            )
        log = self._local.run_folder / "candidate.log"
        with log.open("wb") as output:
            process = _serve(port, self.version, output)
            try:
                wait_until_ready(url, process, timeout_s)
                yield url
            except ServiceError as error:
                raise RolloutError(f"{error}; its last words: {log.read_text()[-500:].strip()}") from error
            finally:
                process.send_signal(self._end)
                process.wait(30)

    def shift(self, percent: int) -> None:
        """Let this share of callers reach the candidate."""
        self._gateway.shift(percent)
        self._end = signal.SIGTERM  # it answers on for a while, as some request may still be on its way to it

    def ask(self, questions: Mapping[str, Question]) -> dict[str, Report]:
        """Run one rollcheck a question, side by side."""
        with ThreadPoolExecutor(len(questions)) as threads:
            answers = {name: threads.submit(self._ask, question) for name, question in questions.items()}
            return {name: answer.result() for name, answer in answers.items()}

    def _ask(self, question: Question) -> Report:
        with self._asking(question) as process:
            output, _ = process.communicate(timeout=question.seconds + 60)
            return report_in(output)

    @contextmanager
    def watching(self, question: Question, say: Say) -> Iterator[ProcessWatch]:
        """Keep asking until the watch is ended."""
        with self._asking(question) as process:
            watch = ProcessWatch(process, say)
            yield watch

    @contextmanager
    def _asking(self, question: Question) -> Iterator[subprocess.Popen[str]]:
        with TemporaryDirectory() as folder:
            houses = Path(folder) / "houses.json"
            houses.write_text(question.houses)
            command = [str(self._rollcheck), *question.arguments(str(houses))]
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
            with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # noqa: S603
                try:
                    yield process
                finally:
                    process.terminate()

    def replace(self, timeout_s: float) -> None:
        """Tell one replica after the other to stop; what starts in its place is the new version."""
        self._roll(self.version, timeout_s)

    def undo(self, timeout_s: float) -> None:
        """Do the same with the old version."""
        self._roll(self.previous or "dev", timeout_s)

    def _roll(self, version: str, timeout_s: float) -> None:
        _want_version(self._local, version)
        deadline = time.monotonic() + timeout_s
        for replica in REPLICAS:
            url = f"http://{HOST}:{self._local.port_of(replica)}"
            old = _pid_file(self._local, replica).read_text()
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(old), signal.SIGTERM)
            while _pid_file(self._local, replica).read_text() == old or answering(url) != version:
                if time.monotonic() > deadline:
                    raise RolloutError(f"replica {replica} was not {version} after {timeout_s:.0f} s: make phase2-logs")
                time.sleep(0.1)
            time.sleep(2)  # the gateway looks once a second; the next replica goes when this one is known again


class ProcessWatch:
    """Shows the live lines of a rollcheck process."""

    def __init__(self, process: subprocess.Popen[str], say: Say) -> None:
        self._process, self._say = process, say
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stderr or ():
            self._say(line.rstrip())

    def end(self) -> Report:
        """Ask it to stop; its last line is the report."""
        self._process.send_signal(signal.SIGINT)
        output = self._process.stdout.read() if self._process.stdout else ""
        self._reader.join(10)
        return report_in(output)


def build_rollcheck_binary(local: Local) -> Path:
    """Build rollcheck for this machine.

    Raises:
        ToolError: there is no Go.

    """
    binary = local.run_folder / "rollcheck"
    run(["go", "build", "-C", str(ROOT / "phase2_k8s_cicd" / "rollcheck"), "-o", str(binary), "."])
    return binary


def is_busy(port: int) -> bool:
    """Say whether a program listens on a port of this machine, whatever it answers."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def answering(url: str) -> str | None:
    """Name the version that is ready at an address, or None when none is."""
    with contextlib.suppress(httpx.TransportError):
        answer = httpx.get(f"{url}/readyz", trust_env=False, timeout=2)
        if answer.status_code == httpx.codes.OK:
            version: str | None = answer.headers.get(HEADER)
            return version
    return None


def _want_version(local: Local, version: str) -> None:
    """Let the next start of each replica be this version."""
    new = local.run_folder / "version.new"
    new.write_text(version)
    new.replace(local.run_folder / "version")


def _wanted_version(local: Local) -> str:
    file = local.run_folder / "version"
    return file.read_text() if file.exists() else "dev"


def _pid_file(local: Local, replica: str) -> Path:
    return local.run_folder / f"replica-{replica}.pid"


def _serve(port: int, version: str, log: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    environ = inherited(HOUSE_HOST=HOST, HOUSE_SERVICE_VERSION=version, HOUSE_DRAIN_SECONDS=DRAIN_SECONDS)
    command = [sys.executable, "-m", "phase2_k8s_cicd", "serve", f"--port={port}"]
    return subprocess.Popen(command, env=environ, stdout=log, stderr=log)  # noqa: S603 - our own command
