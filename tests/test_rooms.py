"""Which room may import which, in all phases: downward only, and no circle. `make graph` prints what is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from import_graph import TESTING, Module, circles, floor, may_import, read_modules

ROOT = Path(__file__).parents[1]
# Each with a reason: (importing module, imported module).
EXCEPTIONS = {
    # Command lines that stand in their rooms: they take phase 1's way to end with a message.
    ("phase2_k8s_cicd.delivery.cloud.cli", "phase1_docker_api.cli"),
    ("phase3_mlops_core.preparation.verbs", "phase1_docker_api.cli"),
    # The charts of a training look like those of the course.
    ("phase3_mlops_core.retraining.recording", "phase1_docker_api.course.charts"),
}


@pytest.fixture(scope="module")
def modules() -> dict[str, Module]:
    return read_modules()


def broken(modules: dict[str, Module]) -> list[str]:
    return sorted(
        f"{module.name} imports {name}"
        for module in modules.values()
        for name in module.imports & modules.keys()
        if (module.package, module.room) != (modules[name].package, modules[name].room)
        and not may_import((module.package, module.room), (modules[name].package, modules[name].room))
        and (module.name, name) not in EXCEPTIONS
    )


def test_rooms_import_only_what_lies_below_them(modules: dict[str, Module]) -> None:
    assert broken(modules) == []


def test_no_module_imports_itself_through_others(modules: dict[str, Module]) -> None:
    assert circles(modules) == []


def test_every_room_of_a_phase_has_a_floor_and_says_what_it_is_for(modules: dict[str, Module]) -> None:
    phases = [module for module in modules.values() if module.package.startswith("phase")]
    rooms = [m for m in phases if m.path.name == "__init__.py" and m.name.count(".") == 1]

    assert {module.room for module in phases if floor(module.room) is None} <= {TESTING}
    assert rooms
    for room in rooms:
        text = room.path.read_text()
        assert text.startswith('"""'), room.name
        assert text.count("\n") == 1, f"{room.name} says one sentence, and exports nothing"


def write(root: Path, files: dict[str, str]) -> dict[str, Module]:
    """Write modules of made-up phases, with an empty `__init__` in each room, and read them."""
    for name, text in files.items():
        path = root / name.partition("/")[0] / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        (path.parent / "__init__.py").touch()
    return read_modules(root)


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("phase1_a/model/tree.py", "from phase1_a.service import app"),
        ("phase1_a/model/tree.py", "def load():\n    import phase1_a.service.app"),
        ("phase1_a/model/tree.py", "if TYPE_CHECKING:\n    from phase1_a.service.app import App"),
        ("phase1_a/training/fit.py", "from phase1_a.service.app import App"),
        ("phase1_a/service/front.py", "from phase2_b.service.app import App"),
        ("phase2_b/service/front.py", "from phase1_a.cli import main"),
        ("phase2_b/model/tree.py", "from phase1_a.course import check"),
        ("phase1_a/course/check.py", "from ..cli import main"),
        ("phase1_a/settings.py", "from phase1_a.model import tree"),
        ("phase1_a/service/front.py", "from phase1_a.testing import app"),
        ("phase1_a/attic/old.py", "from phase1_a.settings import App"),
    ],
)
def test_an_import_upward_or_sideways_is_found(tmp_path: Path, importer: str, line: str) -> None:
    names = ("service/app", "training/fit", "model/tree", "course/check", "cli", "testing", "settings")
    files = {f"{phase}/{name}.py": "App = main = 1\n" for phase in ("phase1_a", "phase2_b") for name in names}

    modules = write(tmp_path, files | {importer: f"{line}\n"})

    assert len(broken(modules)) == 1


@pytest.mark.parametrize(
    ("importer", "line"),
    [
        ("phase1_a/service/front.py", "from phase1_a.service import app"),
        ("phase1_a/service/front.py", "from phase1_a.model.tree import App"),
        ("phase2_b/service/front.py", "from phase1_a.service.app import App"),
        ("phase2_b/model/tree.py", "from phase1_a.service.app import App"),
        ("phase2_b/errors.py", "from phase1_a.errors import App"),
        ("phase1_a/settings.py", "from phase1_a.errors import App"),
        ("phase1_a/testing.py", "from phase1_a.cli import main"),
        ("rehearsal/act.py", "from phase2_b.cli import main"),
    ],
)
def test_an_import_downward_is_fine(tmp_path: Path, importer: str, line: str) -> None:
    names = ("service/app", "model/tree", "cli", "errors")
    files = {f"{phase}/{name}.py": "App = main = 1\n" for phase in ("phase1_a", "phase2_b") for name in names}

    modules = write(tmp_path, files | {importer: f"{line}\n"})

    assert broken(modules) == []


def test_a_circle_through_a_function_is_found(tmp_path: Path) -> None:
    modules = write(
        tmp_path,
        {
            "phase1_a/model/one.py": "from phase1_a.model import two\n",
            "phase1_a/model/two.py": "def late():\n    from phase1_a.model.three import x\n",
            "phase1_a/model/three.py": "import phase1_a.model.one\n",
        },
    )

    assert circles(modules) == [[f"phase1_a.model.{name}" for name in ("one", "three", "two")]]


def test_make_graph_prints_every_room_with_its_lines(modules: dict[str, Module]) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/import_graph.py"], capture_output=True, text=True, check=True
    )

    for module in modules.values():
        assert f"\n  {module.room} " in done.stdout, module.room
