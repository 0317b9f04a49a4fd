"""Room: image. What the Dockerfile says again is what the code says; this needs no Docker."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

PHASE = Path(__file__).parents[1]
SOURCE = PHASE / "src/phase1_docker_api"
DOCKERFILE = (PHASE / "Dockerfile").read_text()


def imported_by(*modules: str) -> set[str]:
    """These modules, and all that are imported with them; what a function imports comes when it is called."""
    found, queue = set(modules), list(modules)
    while queue:
        tree = ast.parse((SOURCE / f"{queue.pop()}.py").read_text())
        names = [node.module or "" for node in tree.body if isinstance(node, ast.ImportFrom)]
        modules_here = [
            name.split(".", 1)[1].replace(".", "/") for name in names if name.startswith("phase1_docker_api.")
        ]
        rooms = [f"{module.rpartition('/')[0]}/__init__" for module in modules_here if "/" in module]
        new = {*modules_here, *rooms} - found
        found |= new
        queue += new
    return found


def test_the_stage_that_trains_copies_the_rooms_that_training_imports_and_no_other() -> None:
    stage = DOCKERFILE.partition(" AS model\n")[2].partition("\nFROM ")[0]
    copied = set(re.findall(r"phase1_docker_api/src/phase1_docker_api/(\w+)/", stage))
    imported = imported_by("__main__", "cli", "model/artifact", "training/sales", "training/train", "course/terminal")

    assert copied == {name.partition("/")[0] for name in imported if "/" in name}


def test_the_label_has_the_version_of_the_project() -> None:
    project = tomllib.loads((PHASE / "pyproject.toml").read_text())["project"]

    assert f'image.version="{project["version"]}"' in DOCKERFILE
