"""One environment a peer, in `.bench/`, so that each has what its own quick start installs and nothing else."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.peers import FOLDER, ROOT, Peer

PLACE = ROOT / ".bench"
UV = str(ROOT / "scripts" / "uv")
# Nothing here calls home.
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "BENTOML_DO_NOT_TRACK": "true"}


def place_of(peer: Peer) -> Path:
    """Where a peer's environment is."""
    return PLACE / peer.name.replace(" ", "-").lower()


def make(peer: Peer) -> bool:
    """Install what a peer needs, unless it is there already; say whether anything had to be installed."""
    place, wanted = place_of(peer), f"{sys.version} {hashlib.sha256(peer.requirements.read_bytes()).hexdigest()}"
    stamp = place / "made-of"
    anew = not stamp.exists() or stamp.read_text() != wanted
    if anew:
        _uv("venv", "--quiet", "--clear", "--no-project", "--python", sys.executable, str(place))
        _install(place, "--requirements", str(peer.requirements))
        stamp.write_text(wanted)
    for package in peer.packages:  # the code changes more often than the requirements
        name = package.name.replace("_", "-")
        _install(place, "--no-deps", "--no-sources", "--reinstall-package", name, str(package))
    return anew


def activated(peer: Peer) -> dict[str, str]:
    """The variables of a shell in which the peer's environment is active; peers' apps can be imported."""
    path = f"{place_of(peer) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return os.environ | QUIET | {"PATH": path, "VIRTUAL_ENV": str(place_of(peer)), "PYTHONPATH": str(FOLDER)}


def installed_mb(peer: Peer) -> float:
    """Size of what is installed for a peer, its bytecode included, without Python itself."""
    [packages] = place_of(peer).glob("lib/python*/site-packages")
    return sum(file.lstat().st_size for file in packages.rglob("*") if file.is_file()) / 1e6


def _install(place: Path, *what: str) -> None:
    _uv("pip", "install", "--quiet", "--compile-bytecode", "--python", str(place / "bin" / "python"), *what)


def _uv(*arguments: str) -> None:
    subprocess.run([UV, *arguments], cwd=ROOT, check=True)  # noqa: S603 - our own
