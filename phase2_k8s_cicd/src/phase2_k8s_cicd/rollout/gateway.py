"""A gateway of this machine, Traefik: what it is told, and how it lets a share of callers reach a candidate."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from phase2_k8s_cicd.errors import RolloutError

# The gateway answers this path itself, by the routes that it has read: only so is it known that it has read new ones.
SHARE_PATH, SHARE_HEADER = "/gateway/share", "X-Candidate-Share"
# Shorter than servers keep an idle connection (uvicorn: 5 s): else a request can meet one that the server just closed.
IDLE_SECONDS = 2
READ_SECONDS = 60  # it takes a tenth of one; a machine that is busy may take many


@dataclass(frozen=True)
class Gateway:
    """Traefik at `url`, which reads `file`; in front of servers that serve, and of a candidate beside them."""

    url: str
    file: Path
    serving: Sequence[str]
    candidate: str
    health_path: str = "/readyz"

    def become(self) -> None:
        """Turn this process into Traefik; all callers reach the servers that serve."""
        self._write(0)
        traefik = Path(sys.executable).parent / "traefik"
        os.execv(  # noqa: S606 - the program that the requirements name
            traefik,
            [
                str(traefik),
                f"--entrypoints.web.address={urlsplit(self.url).netloc}",
                f"--providers.file.filename={self.file}",
                "--providers.providersthrottleduration=100ms",  # instead of 2 s, until it acts on a new file
                "--log.level=ERROR",
                "--global.checknewversion=false",
                "--global.sendanonymoususage=false",
            ],
        )

    def shift(self, percent: int) -> None:
        """Let this share of callers reach the candidate; return once the gateway does.

        Raises:
            RolloutError: the gateway did not take it in time.

        """
        self._write(percent)
        deadline = time.monotonic() + READ_SECONDS
        while self._share() != str(percent):
            if time.monotonic() > deadline:
                raise RolloutError(f"the gateway did not shift to {percent} % in {READ_SECONDS} s: make phase2-logs")
            time.sleep(0.05)

    def notices_after_s(self) -> float:
        """Give the seconds in which callers can still reach a server that stopped being ready, by the routes in use."""
        health = json.loads(self.file.read_text())["http"]["services"]["serving"]["loadBalancer"]["healthCheck"]
        return sum(float(health[name].removesuffix("s")) for name in ("interval", "timeout"))

    def _share(self) -> str | None:
        try:
            answer = httpx.get(f"{self.url}{SHARE_PATH}", trust_env=False, timeout=10)
        except httpx.TransportError:
            return None
        share: str | None = answer.headers.get(SHARE_HEADER)
        return share

    def _write(self, percent: int) -> None:
        """Rename a whole file into place: of one that is being written, Traefik would read a part and answer 404."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(self._routes(percent)))  # JSON is YAML too
        new.replace(self.file)

    def _routes(self, percent: int) -> dict[str, Any]:
        services = {"serving": self._balanced(self.serving)}
        if percent:
            weights = {"serving": 100 - percent, "candidate": percent}
            services["candidate"] = self._balanced([self.candidate])
            # With health checks on both levels, the share of a candidate that dies goes to those that serve.
            parts = [{"name": name, "weight": weight} for name, weight in weights.items()]
            services["shared"] = {"weighted": {"healthCheck": {}, "services": parts}}
        routers = {
            "all": {"rule": "PathPrefix(`/`)", "service": "shared" if percent else "serving"},
            "share": {"rule": f"Path(`{SHARE_PATH}`)", "service": "noop@internal", "middlewares": ["share"]},
        }
        share = {"headers": {"customResponseHeaders": {SHARE_HEADER: str(percent)}}}
        brief = {"forwardingTimeouts": {"idleConnTimeout": f"{IDLE_SECONDS}s"}}
        rest = {"middlewares": {"share": share}, "serversTransports": {"brief": brief}}
        return {"http": {"routers": routers, "services": services, **rest}}

    def _balanced(self, urls: Sequence[str]) -> dict[str, Any]:
        health = {"path": self.health_path, "interval": "1s", "timeout": "1s"}
        servers = [{"url": url} for url in urls]
        return {"loadBalancer": {"servers": servers, "healthCheck": health, "serversTransport": "brief"}}
