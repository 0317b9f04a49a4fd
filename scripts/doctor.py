#!/usr/bin/env python3
"""Says whether this computer can run the course, and for all that is amiss the one command that helps."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import ports
import stack
from container import Container

GIB = 1024**3
NEEDED_GIB = 2.0


@dataclass(frozen=True)
class Extra:
    """A tool that some phases use in part: how it tells its version, for what each uses it, where it comes from."""

    name: str
    command: str
    parts: Mapping[str, str]
    remedy: str


EXTRAS = (
    Extra("go", "go version", {"phase 2": "as processes, and rollcheck"}, "https://go.dev/doc/install"),
    Extra(
        "docker",
        "docker version --format {{.Server.Version}}",
        {"phase 1": "with RUNTIME=docker", "phase 2": "on a cluster", "rehearsal": "and its registry"},
        "start it, or first:  https://docs.docker.com/get-docker/",
    ),
    Extra(
        "docker buildx",
        "docker buildx version",
        dict.fromkeys(("phase 1", "phase 2", "rehearsal"), "where images are built, from Docker 23 on"),
        "https://docs.docker.com/go/buildx/",
    ),
    Extra(
        "kubectl",
        "kubectl version --client",
        {"phase 2": "on a cluster, and its exercises 1 and 3", "rehearsal": "and its cluster"},
        "https://kubernetes.io/docs/tasks/tools/",
    ),
    Extra(
        "kind",
        "kind version",
        {"phase 2": "on a cluster that make cluster-up makes"},
        "https://kind.sigs.k8s.io/docs/user/quick-start/#installation",
    ),
    Extra(
        "terraform",
        "terraform version",
        {"phase 2": "in AWS"},
        "https://developer.hashicorp.com/terraform/install",
    ),
)
NEXT = {
    "phase 1": "make demo",
    "phase 2": "make phase2-up RUNTIME=process",
    "phase 3": "make phase3-up",
    "rehearsal": "make rehearse-push",
}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `remedy` is empty when all is well."""

    mark: str
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        """Show the finding, and under it what helps."""
        return f"{self.mark} {self.text}" + (f"\n    → {self.remedy}" if self.remedy else "")


def check_system(system: str) -> Finding:
    """Linux and macOS are what the course is tried on."""
    if system in ("Linux", "Darwin"):
        return Finding("✓", f"{system} on {platform.machine()}")
    return Finding("✗", f"{system} is not supported", "on Windows use WSL:  wsl --install")


def check_python(version: tuple[int, ...]) -> Finding:
    """The scripts need 3.11; what .venv needs beyond that, uv fetches."""
    shown = ".".join(map(str, version[:3]))
    if version < (3, 11):
        return Finding("✗", f"python3 is {shown}, needed is 3.11 or newer", install("python3", "python@3.12"))
    if version >= (3, 13):
        return Finding("✓", f"python3 is {shown} (make setup fetches a 3.12 for .venv if you have none)")
    return Finding("✓", f"python3 is {shown}")


def check_tool(name: str, package: str) -> Finding:
    """A tool must start, not only exist: on a fresh macOS `git` just offers to be installed."""
    path = shutil.which(name)
    shown = first_line([path, "--version"]) if path else ""
    if shown:
        return Finding("✓", f"{name}: {shown}")
    return Finding("✗", f"{name} is not installed", install(package, None))


def check_extra(name: str, command: str, part: str, remedy: str) -> Finding:
    """Without it a part of the course cannot be run, and all else can."""
    if shown := first_line(command.split()):
        return Finding("✓", f"{name}: {shown}")
    return Finding("–", f"{name} does not answer; needed for {part}", remedy)


def check_uv(root: Path) -> Finding:
    """Being without uv is fine as long as pip or venv can fetch it."""
    lock = (root / "locks" / "uv.txt").read_text(encoding="utf-8")
    pin = re.search(r"^uv==(\S+)", lock, re.MULTILINE)
    wanted = pin.group(1) if pin else "?"
    private = root / ".tools" / "bin" / "uv"
    if private.exists():
        return Finding("✓", f"uv: {first_line([str(private), '--version'])} in .tools/")
    on_path = first_line(["uv", "--version"]) if shutil.which("uv") else ""
    if on_path:
        return Finding("✓", f"uv: {on_path} (pinned is {wanted}; make setup fetches it if yours does not fit)")
    if any(runs([sys.executable, "-c", f"import {module}"]) for module in ("pip", "ensurepip")):
        return Finding("✓", f"uv: make setup fetches {wanted} into .tools/")
    return Finding("✗", "uv is missing, and so are pip and venv to fetch it", install("python3-venv", "uv"))


def check_venv(root: Path) -> Finding:
    """A .venv whose Python was uninstalled looks fine to make."""
    if not (root / ".venv").exists():
        return Finding("✓", ".venv: not yet made (make setup)")
    if (root / ".venv" / ".unfinished").exists() or not runs([str(root / ".venv/bin/python"), "-c", ""]):
        return Finding("✗", ".venv is broken or half made", "rm -rf .venv && make setup")
    return Finding("✓", f".venv: {first_line([str(root / '.venv/bin/python'), '--version'])}")


def check_disk(free_bytes: int) -> Finding:
    """Phase 1 takes about 1 GiB with uv's cache."""
    free = free_bytes / GIB
    if free < NEEDED_GIB:
        return Finding(
            "✗", f"{free:.1f} GiB of disk free, needed are {NEEDED_GIB:.0f}", "make clean ALL=1, or free some"
        )
    return Finding("✓", f"{free:.1f} GiB of disk free")


def check_memory(total_bytes: int | None) -> Finding:
    """Less than 2 GiB of memory makes training swap."""
    if total_bytes is None:
        return Finding("!", "could not find out how much memory there is", f"{NEEDED_GIB:.0f} GiB are enough")
    total = total_bytes / GIB
    if total < NEEDED_GIB * 0.95:  # a machine sold with 2 GiB reports a little less
        return Finding(
            "✗", f"{total:.1f} GiB of memory, needed are {NEEDED_GIB:.0f}", "use a larger machine or add swap"
        )
    return Finding("✓", f"{total:.1f} GiB of memory")


def check_ports(root: Path, phase: str = "phase 1") -> list[Finding]:
    """Every port of a phase is free, or ours; what runs elsewhere is looked for there. Others are a note, if taken."""
    try:
        table = ports.read_table(root)
        for one in _ours(root):
            table |= one.table()
    except ValueError as error:
        return [Finding("✗", str(error), "correct it in ports.env or in your environment")]
    found = {name: check_port(name, port, table, ours=_is_ours(name, port, root)) for name, port in table.items()}
    own = [finding for name, finding in found.items() if ports.owner(name) == phase]
    return own + [
        Finding("–", f"{finding.text}: {phase} does not need it, {ports.owner(name)} does", finding.remedy)
        for name, finding in found.items()
        if ports.owner(name) != phase and finding.mark == "✗"
    ]


def check_port(name: str, port: int, table: dict[str, int], ours: bool = False) -> Finding:
    """A port held by a stranger stops a phase from starting."""
    if not ports.is_busy(port):
        return Finding("✓", f"port {port} is free ({name})")
    if ours:
        return Finding("✓", f"port {port} is in use by our own service ({name})")
    return Finding("✗", f"port {port} is taken ({name})", ports.how_to_free(name, port, platform.system(), table))


def memory_bytes() -> int | None:
    """Read how much memory the computer has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):  # macOS does not count pages
        text = first_line(["sysctl", "-n", "hw.memsize"])
        return int(text) if text.isdecimal() else None


def install(apt: str, brew: str | None) -> str:
    """Return the command that installs a package here; without a brew name, what comes with Apple's tools."""
    if platform.system() == "Darwin":
        return f"brew install {brew}" if brew else "xcode-select --install"
    for manager in ("apt", "dnf", "pacman", "apk"):
        if shutil.which(manager):
            verb = {"pacman": "-S", "apk": "add"}.get(manager, "install")
            return f"sudo {manager} {verb} {apt}"
    return f"install the package {apt}"


def first_line(command: list[str]) -> str:
    """Return the first line a command prints, or nothing if it fails."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.partition("\n")[0].strip()


def runs(command: list[str]) -> bool:
    """Say whether a command succeeds."""
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=20).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def examine(root: Path, phase: str) -> list[Finding]:
    """Check all that a phase cannot do without."""
    return [
        check_system(platform.system()),
        check_python(sys.version_info[:3]),
        check_tool("git", "git"),
        check_tool("make", "make"),
        check_uv(root),
        check_venv(root),
        check_disk(shutil.disk_usage(root).free),
        check_memory(memory_bytes()),
        *check_ports(root, phase),
    ]


def extras(phase: str) -> Iterator[Finding]:
    """Look for the tools that parts of a phase need; those that only other phases need are one note, if missing."""
    for extra in EXTRAS:
        if part := extra.parts.get(phase):
            yield check_extra(extra.name, extra.command, f"{phase} {part}", extra.remedy)
    others = [extra for extra in EXTRAS if phase not in extra.parts and not first_line(extra.command.split())]
    if others:
        owners = sorted({owner.removeprefix("phase ") for extra in others for owner in extra.parts})
        missing = ", ".join(extra.name for extra in others)
        yield Finding("–", f"not needed for {phase}: {missing}", f"make doctor PHASE={'|'.join(owners)}")


def _ours(root: Path) -> list[stack.Phase | Container]:
    run = root / ".run"
    ours: list[stack.Phase | Container] = [stack.Phase(path.parent.name, root) for path in run.glob("*/state.json")]
    return ours + [Container(path.parent.name, root) for path in run.glob("*/container")]


def _is_ours(name: str, port: int, root: Path) -> bool:
    return any(name in ports.of_phase(one.folder, {name: port}) and one.holds(port) for one in _ours(root))


def main(arguments: list[str] | None = None) -> int:
    """Print the report; 1 when something must be put right first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--phase", default="1", choices=[owner.removeprefix("phase ") for owner in NEXT])
    phase = next(owner for owner in NEXT if owner.endswith(parser.parse_args(arguments).phase))
    findings = examine(ports.ROOT, phase)
    print(*findings, sep="\n")
    print(f"\nThat is all that {phase} cannot do without. Parts of it need more:")
    print(*extras(phase), sep="\n")
    wrong = sum(finding.mark == "✗" for finding in findings)
    print(f"\n{wrong} to put right first." if wrong else f"\nReady. Next:  {NEXT[phase]}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
