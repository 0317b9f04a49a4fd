"""An image holds the rooms that it runs: what its Dockerfile copies is what `serve` imports. This needs no Docker."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from import_graph import GROUND, Module, read_modules
from phase1_docker_api.model.artifact import save_model
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.service.launch import free_port, wait_until_ready

ROOT = Path(__file__).parents[1]
TOP = {"__main__", "cli"}
# Each phase with those below it, whose image it starts from.
IMAGES = {
    "phase1_docker_api": ["phase1_docker_api"],
    "phase2_k8s_cicd": ["phase1_docker_api", "phase2_k8s_cicd"],
}


def copied(package: str) -> list[Path]:
    """The files and folders of the package that the Dockerfile's stage `code` copies."""
    text = (ROOT / package / "Dockerfile").read_text().replace("\\\n", " ")
    stage = text.partition(" AS code\n")[2].partition("\nFROM ")[0]
    words = [word for line in re.findall(r"^COPY (.+)$", stage, re.MULTILINE) for word in line.split()[:-1]]
    return [ROOT / word for word in words if "/src/" in word]


def rooms_in_image(package: str) -> set[str]:
    source = ROOT / package / "src" / package
    return {path.relative_to(source).with_suffix("").parts[0] if path != source else "all" for path in copied(package)}


def run_by_serve(package: str, modules: dict[str, Module]) -> set[str]:
    """All modules that `python -m PACKAGE serve` may come to import: of a command line, the one verb alone."""
    ahead, found = [f"{package}.__main__"], set[str]()
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            module = modules[name]
            ahead += module.imports if module.room != "cli" else imports_of_serve(module, modules)
    return found


def imports_of_serve(cli: Module, modules: dict[str, Module]) -> list[str]:
    """What a command line imports at its top, and in its verb `serve`, if it is the one that is run."""
    tree = ast.parse(cli.path.read_text())
    serve = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "serve"]
    nodes = [*tree.body, *(node for function in serve for node in function.body)]
    return [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module in modules]


@pytest.mark.parametrize("package", IMAGES)
def test_the_image_holds_the_rooms_that_serve_imports_and_none_more(package: str) -> None:
    modules = read_modules()
    needed = {modules[name].room for name in run_by_serve(package, modules) if modules[name].package == package}

    held = rooms_in_image(package)

    assert needed - held == set(), "a room too few"
    assert held - needed - set(GROUND) == set(), "a room too many"


@pytest.mark.parametrize("package", IMAGES)
def test_what_an_image_needs_of_the_phases_below_is_in_their_images(package: str) -> None:
    modules = read_modules()
    for name in run_by_serve(package, modules):
        assert modules[name].room in rooms_in_image(modules[name].package) | {"__init__"}, name


@pytest.fixture
def image(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A package, and a folder with what its image holds of ours."""
    for below in IMAGES[request.param]:
        for path in copied(below):
            target = tmp_path / path.relative_to(ROOT / below / "src")
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if path.is_dir() else shutil.copy)(path, target)
    return request.param, tmp_path


@pytest.mark.parametrize("image", IMAGES, indirect=True)
def test_what_the_image_holds_serves_prices_and_the_page(
    image: tuple[str, Path], linear_model: HouseModel, tmp_path_factory: pytest.TempPathFactory
) -> None:
    package, folder = image
    port, model = free_port(), save_model(linear_model, tmp_path_factory.mktemp("model"))
    environment = os.environ | {"PYTHONPATH": str(folder), "HOUSE_PORT": str(port), "HOUSE_MODEL_PATH": str(model)}
    command = [sys.executable, "-m", package, "serve"]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url, process)
            answer = httpx.post(f"{url}/predict", json={"land_area_sqft": 5000, "bedrooms": 3}, trust_env=False)
            page = httpx.get(f"{url}/", trust_env=False)
        finally:
            process.terminate()

    assert answer.json()["price_usd"] > 0
    assert page.is_success


@pytest.mark.parametrize("image", ["phase1_docker_api"], indirect=True)
def test_a_verb_whose_room_the_image_lacks_says_so(image: tuple[str, Path]) -> None:
    package, folder = image
    command = [sys.executable, "-m", package, "leak"]
    environment = os.environ | {"PYTHONPATH": str(folder)}

    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stderr.endswith("is not installed: an image holds what `serve` needs\n")
    assert "Traceback" not in done.stderr
