#!/usr/bin/env python3
"""Prints which room imports which, how many lines each has, and the longest modules and functions: `make graph`."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ports

# From top to bottom, as the design draws the house: a room imports what lies below it, and no room beside it.
FLOORS = (
    ("__main__",),
    ("cli",),
    ("course",),
    ("delivery", "monitoring", "retraining"),
    ("rollout",),
    ("training", "service", "preparation", "gate"),
    ("model", "registry", "features", "cluster", "landing", "sales_table"),
    ("schemas", "settings", "errors", "tools", "__init__"),
)
GROUND = FLOORS[-1]
TESTING = "testing"  # its fixtures and doubles take what they need from every room


@dataclass(frozen=True)
class Module:
    """A module of a phase: which room it stands in, and its code."""

    name: str
    path: Path
    imports: frozenset[str] = field(default_factory=frozenset)

    @property
    def package(self) -> str:
        """The package of the phase."""
        return self.name.partition(".")[0]

    @property
    def room(self) -> str:
        """The room, or the module's own name where it stands in none; the package itself is of the ground."""
        room = [*self.name.split("."), "__init__"][1]
        return TESTING if room.startswith(TESTING) else room

    @property
    def lines(self) -> int:
        """How long the module is."""
        return len(self.path.read_text(encoding="utf-8").splitlines())


def read_modules(root: Path = ports.ROOT) -> dict[str, Module]:
    """Read every module of the phases and the rehearsal, with the modules of ours that it imports anywhere in it."""
    found = {}
    for source in sorted([*root.glob("phase*/src"), *root.glob("rehearsal/src")]):
        for path in sorted(source.rglob("*.py")):
            parts = path.relative_to(source).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return {name: Module(name, path, frozenset(_imported(name, path, found))) for name, path in found.items()}


def _imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = ".".join(package.split(".")[: len(package.split(".")) + 1 - node.level]) if node.level else ""
            parent = ".".join(filter(None, (start, node.module)))
            names = [f"{parent}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from filter(None, (_module(each, known) for each in names))


def _module(name: str, known: Mapping[str, Path]) -> str | None:
    """The module that a dotted name lies in: the name itself, or what is left without a class or function."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or None


def room_imports(modules: Mapping[str, Module]) -> dict[tuple[str, str], set[tuple[str, str]]]:
    """Give, for each room as (package, room), the other rooms that it imports."""
    rooms: dict[tuple[str, str], set[tuple[str, str]]] = defaultdict(set)
    for module in modules.values():
        here = (module.package, module.room)
        rooms[here] |= {(modules[name].package, modules[name].room) for name in module.imports} - {here}
    return rooms


def phase(package: str) -> int:
    """Give a phase's number, by its package's name; the rehearsal stands above all phases."""
    digits = package.removeprefix("phase").partition("_")[0]
    return int(digits) if digits.isdecimal() else 99


def may_import(importer: tuple[str, str], imported: tuple[str, str]) -> bool:
    """Say whether one room may import another, each named by package and room.

    Inside a phase, what lies on a floor below, and the ground its own ground. A phase below lies below as a whole; only
    its command line and its course, which no program needs, keep to their floors. `testing` may import all, and nothing
    but `testing` imports it.
    """
    (package, room), (other, below) = importer, imported
    if other != package and phase(other) >= phase(package):
        return False
    if TESTING in (room, below):
        return room == TESTING
    if phase(package) == 99:
        return True
    here, there = floor(room), floor(below)
    if here is None or there is None:
        return False
    if package != other:
        return below not in ("__main__", "cli", "course") or there >= here
    return there > here or (room in GROUND and below in GROUND)


def floor(room: str) -> int | None:
    """Count floors from the top; None for a room that the house does not have."""
    return next((number for number, rooms in enumerate(FLOORS) if room in rooms), None)


def circles(modules: Mapping[str, Module]) -> list[list[str]]:
    """Find modules that import each other, directly or through others: one list of names for each circle."""
    reached = {name: _reachable(name, modules) for name in modules}
    left, found = set(modules), []
    while left:
        name = min(left)
        circle = {name} | {other for other in reached[name] if name in reached[other]}
        if name in reached[name]:
            found.append(sorted(circle))
        left -= circle
    return found


def _reachable(name: str, modules: Mapping[str, Module]) -> set[str]:
    seen: set[str] = set()
    ahead = list(modules[name].imports & modules.keys())
    while ahead:
        module = ahead.pop()
        if module not in seen:
            seen.add(module)
            ahead += modules[module].imports & modules.keys()
    return seen


def functions(modules: Iterable[Module]) -> Iterator[tuple[int, str]]:
    """Give each function's length in lines, from `def` to its end, and where it stands."""
    for module in modules:
        for node in ast.walk(ast.parse(module.path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{module.name}.{node.name}"


def picture(modules: Mapping[str, Module]) -> Iterator[str]:
    """Draw the house: phase by phase, from the top floor down."""
    lines = Counter[tuple[str, str]]()
    for module in modules.values():
        lines[module.package, module.room] += module.lines
    imports = room_imports(modules)
    for package in dict.fromkeys(module.package for module in modules.values()):
        rooms = [room for owner, room in lines if owner == package]
        yield f"{package}: {sum(lines[package, room] for room in rooms):,} lines"
        for room in sorted(rooms, key=_height):
            yield f"  {room:<12}{lines[package, room]:>6,}  {_shown(package, imports[package, room])}".rstrip()
        yield ""


def _height(room: str) -> tuple[int, str]:
    number = floor(room)
    return (-1 if number is None else number, room)


def _shown(package: str, imported: set[tuple[str, str]]) -> str:
    """The rooms of the same package first, then those of packages below."""
    own = [room for owner, room in imported if owner == package]
    parts = [" ".join(sorted(own, key=_height))] if own else []
    for below in sorted({owner for owner, _ in imported} - {package}, reverse=True):
        rooms = sorted((room for owner, room in imported if owner == below), key=_height)
        parts.append(f"{below}: {' '.join(rooms)}")
    return "→ " + "; ".join(parts) if parts else ""


def main() -> None:
    """Print the graph and the extremes."""
    modules = read_modules()
    print("Room, lines of Python, and which rooms it imports (imports inside functions count)\n")
    print(*picture(modules), sep="\n")
    found = circles(modules)
    print("circles of modules:" + ("" if found else " none"), *map(" ⇄ ".join, found), sep="\n       ")
    longest = sorted(((module.lines, module.name) for module in modules.values()), reverse=True)
    print("longest modules:", *(f"{length:>5}  {name}" for length, name in longest[:3]), sep="\n")
    by_length = sorted(functions(modules.values()), reverse=True)
    print("longest functions:", *(f"{length:>5}  {name}" for length, name in by_length[:3]), sep="\n")


if __name__ == "__main__":
    main()
