"""Who is measured. A further peer is one file here with its app, and one entry in `PEERS`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
OURS, NAIVE, CONSTANT = "ours", "naive FastAPI", "a constant"


def one_object(house: Mapping[str, object]) -> bytes:
    """Send a house as the JSON object that ours and the tutorials take."""
    return json.dumps(house).encode()


@dataclass(frozen=True)
class Peer:
    """A service to measure. No app is imported here: measuring must share no memory with what it measures.

    `command` runs in the folder that `benchmarks.prepare` filled, with `{port}` filled in.
    """

    name: str
    command: tuple[str, ...]
    path: str = "/predict"
    body: Callable[[Mapping[str, object]], bytes] = one_object


def uvicorn(module: str, *options: str) -> tuple[str, ...]:
    """Serve `module` of this folder as tutorials say, `uvicorn module:app`, with no options but these."""
    app = f"benchmarks.peers.{module}:app"
    return (sys.executable, "-m", "uvicorn", app, "--port", "{port}", *options)


PEERS = (
    Peer(OURS, (sys.executable, "-c", "from phase1_docker_api.cli import main; main()", "serve")),
    Peer(NAIVE, uvicorn("naive_fastapi")),
    Peer(CONSTANT, uvicorn("constant", "--no-access-log")),
)
