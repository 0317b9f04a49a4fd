"""A registry of images on this computer's loopback: what ECR is to AWS."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import httpx
from phase1_docker_api.errors import CourseError
from phase2_k8s_cicd.cluster.cluster import Cluster
from phase2_k8s_cicd.errors import ToolError
from phase2_k8s_cicd.tools import ROOT, run, succeeds
from pydantic_settings import BaseSettings, SettingsConfigDict

IMAGE = "registry:3"
DEBIANS = "docker-registry"
WITHIN_KIND = "/etc/containerd/certs.d"


class Ports(BaseSettings):
    """Its line of ports.env."""

    model_config = SettingsConfigDict(env_prefix="REHEARSAL_", env_file=ROOT / "ports.env", frozen=True, extra="ignore")

    registry_port: int


class Registry:
    """Debian's program where it is installed, else a container; it stays up, since pods that start again pull again."""

    def __init__(self, home: Path, port: int) -> None:
        self._home, self._port = home, port
        self.address = f"127.0.0.1:{port}"
        # Two clones on one computer have one each.
        self._container = f"house-price-registry-{hashlib.sha256(bytes(ROOT)).hexdigest()[:6]}"

    def up(self, cluster: Cluster) -> None:
        """Start it, unless it runs, and let the cluster's nodes find it.

        Raises:
            CourseError: its port is taken, or it does not answer.

        """
        kind = cluster.context.startswith("kind-")
        if not self._runs():
            if self._answers():
                raise CourseError(
                    f"something else answers at {self.address}, where the registry should: choose another port with "
                    f"REHEARSAL_REGISTRY_PORT={self._port + 1}"
                )
            if shutil.which(DEBIANS) and not kind:
                self._start_program()
            else:
                self._start_container()
        self._wait()
        if kind:
            self._show_to_kind(cluster.context.removeprefix("kind-"))

    def down(self) -> None:
        """Stop it and forget its images."""
        if pid := self._pid():
            os.kill(pid, signal.SIGTERM)
        if shutil.which("docker"):
            succeeds(["docker", "rm", "--force", "--volumes", self._container])

    def _runs(self) -> bool:
        return bool(self._pid() or run(["docker", "ps", "--quiet", f"--filter=name=^{self._container}$"]).strip())

    def _pid(self) -> int | None:
        """Give the process that was started here, if it still is that program."""
        with suppress(FileNotFoundError, ValueError, ToolError):
            pid = int((self._home / "pid").read_text())
            if str(self._home) in run(["ps", "-ww", "-o", "args=", "-p", str(pid)]):
                return pid
        return None

    def _answers(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"http://{self.address}/v2/", timeout=2).status_code == httpx.codes.OK
        return False

    def _start_program(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        settings = self._home / "settings.yaml"
        settings.write_text(
            f"version: 0.1\nlog: {{level: warn}}\nhttp: {{addr: {self.address}}}\n"
            f"storage: {{filesystem: {{rootdirectory: '{self._home / 'images'}'}}}}\n"
        )
        with (self._home / "log.txt").open("w") as log:
            started = subprocess.Popen(  # noqa: S603 - found on the PATH by the name above
                [DEBIANS, "serve", str(settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is not meant for it
            )
        (self._home / "pid").write_text(str(started.pid))

    def _start_container(self) -> None:
        if not succeeds(["docker", "start", self._container]):
            publish = f"--publish={self.address}:5000"
            run(["docker", "run", "--detach", f"--name={self._container}", "--restart=unless-stopped", publish, IMAGE])

    def _show_to_kind(self, name: str) -> None:
        """Tell a kind cluster's nodes that our loopback address is that container; kind's own documents do it so."""
        succeeds(["docker", "network", "connect", "kind", self._container])
        hosts = f'[host."http://{self._container}:5000"]\n'
        for node in run(["kind", "get", "nodes", f"--name={name}"]).split():
            folder = f"{WITHIN_KIND}/{self.address}"
            run(["docker", "exec", node, "mkdir", "-p", folder])
            run(["docker", "exec", "--interactive", node, "cp", "/dev/stdin", f"{folder}/hosts.toml"], stdin=hosts)

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while not self._answers():
            if time.monotonic() > deadline:
                raise CourseError(f"the registry does not answer at {self.address}; its log: {self._home / 'log.txt'}")
            time.sleep(0.2)
