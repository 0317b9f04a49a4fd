"""The table of ports, and whether one is free: what `doctor` and `stack` both ask before anything starts."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def read_table(root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> dict[str, int]:
    """Read `ports.env`; the environment wins, and PORT stands for PHASE1_API_PORT.

    Raises:
        ValueError: a port is not a number from 1 to 65535, or two services would have the same one.
    """
    lines = (root / "ports.env").read_text(encoding="utf-8").splitlines()
    table = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    read = {name: _port(name, _chosen(name, environ) or value) for name, value in table.items()}
    first: dict[int, str] = {}
    for name, port in read.items():
        if (other := first.setdefault(port, name)) != name:
            raise ValueError(f"{other} and {name} are both {port}: each needs a port of its own")
    return read


def of_phase(folder: str, table: Mapping[str, int]) -> dict[str, int]:
    """Pick the ports of one phase: those named PHASE<n>_… for a folder named phase<n>_…."""
    match = re.match(r"phase\d+", folder)
    prefix = f"{match.group().upper()}_" if match else ""
    return {name: port for name, port in table.items() if prefix and name.startswith(prefix)}


def owner(name: str) -> str:
    """Say whose port it is by its name: PHASE2_A_PORT is of `phase 2`, REHEARSAL_REGISTRY_PORT of `rehearsal`."""
    prefix = name.partition("_")[0].lower()
    return re.sub(r"^phase(\d+)$", r"phase \1", prefix)


def in_use(
    table: Mapping[str, int], running: Mapping[str, int], environ: Mapping[str, str] = os.environ
) -> dict[str, int]:
    """Say where to ask a phase: where it runs, else as its table says; a port that the environment names wins."""
    return {name: port if _chosen(name, environ) else running.get(name, port) for name, port in table.items()}


def is_busy(port: int) -> bool:
    """Say whether a program holds the port on this computer.

    Connects first: macOS lets a program bind 127.0.0.1 while AirPlay holds the wildcard address.
    """
    with socket.socket() as probe:
        probe.settimeout(0.5)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            return True
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port in TIME_WAIT is free
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def how_to_free(name: str, port: int, system: str, table: Mapping[str, int]) -> str:
    """Say what helps when another program holds the port; what is proposed is free, and nobody's in the table."""
    elsewhere = "PORT" if name == "PHASE1_API_PORT" else name
    others = (*range(port + 1, 65536), *range(1024, port))
    free = next(other for other in others if other not in table.values() and not is_busy(other))
    choose = f"choose another:  {elsewhere}={free} make …   (see who holds it:  lsof -nP -i :{port})"
    if system == "Darwin" and port in (5000, 7000):
        settings = "System Settings > General > AirDrop & Handoff"
        return f"often AirPlay Receiver: switch it off in {settings}, or {choose}"
    return choose


def _chosen(name: str, environ: Mapping[str, str]) -> str | None:
    return (environ.get("PORT") if name == "PHASE1_API_PORT" else None) or environ.get(name)


def _port(name: str, value: str) -> int:
    if not value.strip().isdecimal() or not 1 <= int(value) <= 65535:
        raise ValueError(f"{name}={value}: a port is a number from 1 to 65535")
    return int(value)
