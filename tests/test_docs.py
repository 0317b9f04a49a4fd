"""What the documents name is there: settings, ports, make targets, verbs, routes, links."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from phase1_docker_api.api import create_app
from phase1_docker_api.cli import cli
from phase1_docker_api.model import HouseModel
from phase1_docker_api.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    ROOT / name
    for name in subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
)
PHASE1 = (ROOT / "phase1_docker_api" / "README.md").read_text()


def every(pattern: str) -> set[tuple[str, str]]:
    """Each match of the pattern's group in a page, with the page it stands in."""
    return {
        (page.relative_to(ROOT).as_posix(), found) for page in PAGES for found in re.findall(pattern, page.read_text())
    }


def test_every_relative_link_leads_somewhere() -> None:
    links = every(r"\]\(([^)#:]+)(?:#[^)]*)?\)")

    assert links
    assert [(page, link) for page, link in links if not ((ROOT / page).parent / link).exists()] == []


def test_every_make_target_that_a_page_names_exists() -> None:
    makefiles = "\n".join(path.read_text() for path in [ROOT / "Makefile", *ROOT.glob("phase*/Makefile")])
    targets = set(re.findall(r"^([a-z0-9-]+):", makefiles, re.MULTILINE))

    named = every(r"(?:^|`)make ([a-z][a-z0-9-]+)")

    assert named
    assert [(page, target) for page, target in named if target not in targets] == []


def test_every_verb_and_option_of_phase1_that_a_page_names_exists() -> None:
    known = {verb: {o for p in command.params for o in p.opts} for verb, command in cli.commands.items()}

    lines = every(r"\bphase1 ((?:train|tune|evaluate|predict|serve|replay)\b[^`\n|]*)")

    assert lines
    for page, line in lines:
        verb = line.split()[0]
        assert set(re.findall(r"--[a-z-]+", line)) <= known[verb] | {"--help"}, f"{page}: phase1 {line}"


def test_the_ports_of_the_table_are_those_of_ports_env() -> None:
    table = set(re.findall(r"^\| `([A-Z0-9_]+)` \| (\d+) \|", (ROOT / "README.md").read_text(), re.MULTILINE))

    assert table == set(re.findall(r"^([A-Z0-9_]+)=(\d+)$", (ROOT / "ports.env").read_text(), re.MULTILINE))


def test_the_settings_of_the_table_are_those_of_the_code() -> None:
    table = re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)` \| (.*) \|$", PHASE1, re.MULTILINE)

    assert table == [
        (f"{PREFIX}{name.upper()}", str(field.default), field.description)
        for name, field in Settings.model_fields.items()
    ]


def test_the_routes_of_the_table_are_those_of_the_service(linear_model: HouseModel) -> None:
    paths = create_app(Settings(), linear_model).openapi()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}

    named = set(re.findall(r"`((?:GET|POST) /[a-z/]+)`", PHASE1))

    assert named == routes | {"GET /docs"}


@pytest.mark.parametrize("package", ["fastapi", "scikit-learn", "pandas"])
def test_each_lock_states_hashes_and_no_address(package: str) -> None:
    ours = (path for path in ROOT.glob("**/requirements*.txt") if not {".venv", ".bench"} & set(path.parts))
    locks = {path.name: path.read_text() for path in ours}

    assert any(f"{package}==" in text for text in locks.values())
    assert [name for name, text in locks.items() if "://" in text or "--hash=sha256:" not in text] == []
