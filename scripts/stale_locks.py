#!/usr/bin/env python3
"""Says which locks no longer pin what their pyproject.toml asks for, without a network: what `make lint` runs."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import ports
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

Project = Mapping[str, Any]
PIN = re.compile(r"^(?P<name>[\w.-]+)==(?P<version>[^ ;\\]+)(?P<rest>.*(?:\n .*)*)", re.MULTILINE)


def asked_for(root: Path, projects: Mapping[Path, Project]) -> Iterator[tuple[Path, list[str]]]:
    """Give each lock and the requirements it is made from; the lock of an extra or a group carries its name."""
    for group, requirements in tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"].items():
        yield root / "locks" / f"{group}.txt", requirements
    for path, project in projects.items():
        yield path.with_name("requirements.txt"), project["dependencies"]
        for extra, requirements in project.get("optional-dependencies", {}).items():
            yield path.with_name(f"requirements-{extra}.txt"), project["dependencies"] + requirements


def resolved(requirements: list[str], ours: Mapping[str, Project]) -> Iterator[Requirement]:
    """Replace a phase, which no lock pins, by what it asks for itself."""
    for requirement in map(Requirement, requirements):
        if project := ours.get(canonicalize_name(requirement.name)):
            yield from resolved(project["dependencies"], ours)
            for extra in requirement.extras:
                yield from resolved(project["optional-dependencies"][extra], ours)
        else:
            yield requirement


def findings(lock: Path, asked: list[Requirement], ours: Collection[str]) -> Iterator[str]:
    """Compare both ways: each requirement with its pin, and each pin made for a requirement with those there are."""
    if not lock.exists():
        yield "is missing"
        return
    pins = {canonicalize_name(pin["name"]): pin for pin in PIN.finditer(lock.read_text())}
    for requirement in asked:
        pin = pins.get(canonicalize_name(requirement.name))
        if pin is None:
            yield f"lacks {requirement}"
        elif not requirement.specifier.contains(pin["version"], prereleases=True):
            yield f"pins {requirement.name} {pin['version']}, and {requirement} is asked for"
    for name in pins.keys() - {canonicalize_name(requirement.name) for requirement in asked}:
        if any(source in pins[name]["rest"] for source in ("pyproject.toml", *ours)):
            yield f"pins {name}, which nothing asks for any more"


def main(root: Path = ports.ROOT) -> int:
    """Print a line for each finding; 1 when there are some."""
    projects = {path: tomllib.loads(path.read_text())["project"] for path in sorted(root.glob("phase*/pyproject.toml"))}
    ours: dict[str, Project] = {canonicalize_name(project["name"]): project for project in projects.values()}
    stale = {
        f"{lock.relative_to(root)} {finding}"
        for lock, requirements in asked_for(root, projects)
        for finding in findings(lock, list(resolved(requirements, ours)), ours)
    }
    if stale:
        print(*sorted(stale), "run:  make lock", sep="\n")
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
