"""What the documents name is there: settings, ports, make targets, verbs, routes, metrics, links."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import phase1_docker_api.cli
import phase1_docker_api.service.app
import phase1_docker_api.settings
import phase2_k8s_cicd.cli
import phase2_k8s_cicd.service.app
import phase2_k8s_cicd.settings
import phase3_mlops_core.cli
import phase3_mlops_core.service.app
import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import House
from phase1_docker_api.service.launch import free_ports
from phase2_k8s_cicd.rollout.outcome import Outcome
from phase2_k8s_cicd.rollout.rollout import Plan
from prometheus_client.parser import text_string_to_metric_families
from pydantic_settings import BaseSettings
from starlette.routing import Route

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
PORTS = {
    name: int(port)
    for name, port in re.findall(r"^([A-Z0-9_]+)=(\d+)$", (ROOT / "ports.env").read_text(), re.MULTILINE)
}
# By a learner, as an exercise.
TO_BE_WRITTEN = {"phase1 health", "phase3 quarantine", "house_ready", "--failed", "--since"}
VERBS = {
    "phase1": phase1_docker_api.cli.cli.commands,
    "phase2": phase2_k8s_cicd.cli.cli.commands,
    "phase3": phase3_mlops_core.cli.cli.commands,
}


def reference(phase: int) -> str:
    return (ROOT / "docs" / f"phase{phase}" / "reference.md").read_text()


def every(pattern: str) -> set[tuple[str, Any]]:
    """Each match of the pattern's group, or groups, in a page, with the page it stands in."""
    return {
        (page.relative_to(ROOT).as_posix(), found)
        for page in PAGES
        for found in re.findall(pattern, page.read_text(), re.MULTILINE)
    }


def test_every_relative_link_leads_somewhere() -> None:
    links = every(r"\]\(([^)#:]+)(?:#[^)]*)?\)")

    assert links
    assert [(page, link) for page, link in links if not ((ROOT / page).parent / link).exists()] == []


def test_every_link_to_a_heading_finds_it() -> None:
    links = every(r"\]\(([^)#:]*#[^)]+)\)")

    assert links
    for page, link in links:
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, f"{page}: {link}"


@pytest.mark.parametrize("folder", ["phase1_docker_api", "phase2_k8s_cicd", "phase3_mlops_core"])
def test_a_first_evening_is_about_a_thousand_lines_in_the_same_order_in_both_languages(folder: str) -> None:
    english, indonesian = (
        re.findall(r"^\d\. \[`.+`\]\((.+)\): .+$", (ROOT / folder / page).read_text(), re.MULTILINE)
        for page in ("README.md", "README.id.md")
    )

    assert english == indonesian
    assert 800 <= sum(len((ROOT / folder / path).read_text().splitlines()) for path in english) <= 1350


def test_lines_that_a_page_quotes_from_a_file_stand_in_that_file() -> None:
    quotes = every(r"^```\w+ (\S+)\n((?:(?!```).*\n)+)```$")

    assert quotes
    assert [(page, name) for page, (name, lines) in quotes if lines not in (ROOT / name).read_text()] == []


def test_every_make_target_that_a_page_names_exists() -> None:
    makefiles = "\n".join(path.read_text() for path in [ROOT / "Makefile", *ROOT.glob("*/Makefile")])
    targets = set(re.findall(r"^([a-z0-9-]+):", makefiles, re.MULTILINE))

    named = every(r"(?:^|`)make ([a-z][a-z0-9-]+)")

    assert named
    assert [(page, target) for page, target in named if target not in targets] == []


def test_every_verb_and_option_that_a_page_names_exists() -> None:
    lines = {
        (page, *found)
        for page in PAGES
        for found in re.findall(
            r"(?:^|`|bin/)(phase\d) ([a-z]+(?:-[a-z]+)*)\b([^`\n|]*)", page.read_text(), re.MULTILINE
        )
    }

    assert {phase for _, phase, _, _ in lines} == VERBS.keys()
    for page, phase, verb, options in lines:
        if f"{phase} {verb}" in TO_BE_WRITTEN:
            continue
        assert verb in VERBS[phase], f"{page}: {phase} {verb}"
        known = {option for parameter in VERBS[phase][verb].params for option in parameter.opts} | TO_BE_WRITTEN
        assert set(re.findall(r"--[a-z-]+", options)) <= known | {"--help"}, f"{page}: {phase} {verb}{options}"


def test_the_ports_of_the_table_are_those_of_ports_env() -> None:
    table = re.findall(r"^\| `([A-Z0-9_]+)` \| (\d+) \|", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert {name: int(port) for name, port in table} == PORTS


def described(kind: type[BaseSettings], known: type[BaseSettings] = BaseSettings) -> list[tuple[str, str, str | None]]:
    """The settings of a class that are not another's, as a row of a table has them."""
    prefix = kind.model_config["env_prefix"]
    new = {name: field for name, field in kind.model_fields.items() if name not in known.model_fields}
    return [(f"{prefix}{name.upper()}", str(field.default), field.description) for name, field in new.items()]


SETTINGS = {
    1: described(phase1_docker_api.settings.Settings),
    2: described(phase2_k8s_cicd.settings.Settings, phase1_docker_api.settings.Settings) + described(Plan),
}


@pytest.mark.parametrize("phase", SETTINGS)
def test_the_settings_of_the_table_are_those_of_the_code(phase: int) -> None:
    table = re.findall(r"^\| `([A-Z0-9_]+)` \| `([^`]*)` \| (.*) \|$", reference(phase), re.MULTILINE)

    assert table == SETTINGS[phase]


def routes_of(app: FastAPI) -> set[str]:
    """What can be asked, as `GET /path`, without the files that the page and the documentation are made of."""
    shown = {f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods}
    plain = {route.path for route in app.routes if isinstance(route, Route) and "GET" in (route.methods or ())}
    return shown | {f"GET {path}" for path in plain if not path.startswith("/page/")}


def test_the_routes_of_the_tables_are_those_of_the_services(linear_model: HouseModel) -> None:
    first, second = (package.service.app for package in (phase1_docker_api, phase2_k8s_cicd))
    routes = {1: routes_of(first.create_app(model=linear_model)), 2: routes_of(second.create_app(model=linear_model))}

    for phase, new in ((1, routes[1]), (2, routes[2] - routes[1])):
        named = set(re.findall(r"`((?:GET|POST) /[a-z/.]*)`", reference(phase)))
        assert named == new, f"phase {phase}"


@pytest.fixture
def metrics(linear_model: HouseModel) -> str:
    """What Prometheus is told once everything that is counted has happened."""
    with TestClient(phase2_k8s_cicd.service.app.create_app(model=linear_model)) as client:
        client.post("/predict", json={"land_area_sqft": 5000, "bedrooms": 3, "neighborhood": "nowhere"})
        client.post("/predict", json={})
        return client.get("/metrics").text


def test_the_metrics_of_the_table_are_those_of_the_service(metrics: str) -> None:
    table = re.findall(r"^\| `(house_\w+)` \| (\w+) \| ([^|]*?) ?\| (.*) \|$", reference(2), re.MULTILINE)

    assert sorted(table) == sorted(
        (
            f"{family.name}_total" if family.type == "counter" else family.name,
            family.type,
            ", ".join(sorted({label for sample in family.samples for label in sample.labels} - {"le"})),
            family.documentation,
        )
        for family in text_string_to_metric_families(metrics)
        if family.name.startswith("house_")
    )


def test_every_series_that_a_page_asks_prometheus_for_exists(metrics: str, linear_model: HouseModel) -> None:
    with TestClient(phase3_mlops_core.service.app.create_app(model=linear_model)) as client:
        told = [metrics, client.get("/metrics").text]
    series = {each.name for text in told for family in text_string_to_metric_families(text) for each in family.samples}
    histograms = {name.removesuffix("_bucket") for name in series}

    named = every(r"\b(house_[a-z_]+)\b(?!\.py)")

    assert named
    assert [(page, name) for page, name in named if name not in series | histograms | TO_BE_WRITTEN] == []


def test_the_targets_and_the_fields_of_an_outcome_are_those_of_the_tables() -> None:
    visible = re.findall(r"^([a-z0-9-]+):.* ## ", (ROOT / "phase2_k8s_cicd" / "Makefile").read_text(), re.MULTILINE)
    kept = reference(2).partition("## What is kept")[2].partition("On the cluster:")[0]

    assert set(re.findall(r"^\| `make ([a-z0-9-]+)` \|", reference(2), re.MULTILINE)) == set(visible)
    rows = re.findall(r"^\| (`[^|]*) \|", kept, re.MULTILINE)
    assert [field for row in rows for field in re.findall(r"`(\w+)`", row)] == list(Outcome.model_fields)


@pytest.mark.parametrize("page", ["README.md", "README.id.md"])
def test_the_figures_of_the_models_are_those_they_reach(
    linear_model: HouseModel, trees_model: HouseModel, page: str
) -> None:
    columns = [
        (linear_model, "complete"),
        (trees_model, "complete"),
        (trees_model, "minimal"),
        (trees_model, "baseline"),
    ]
    text = (ROOT / "phase1_docker_api" / page).read_text().replace(",", ".")

    table = dict(re.findall(r"^\| (20\d\d) \| (.* %.*) \|$", text, re.MULTILINE))

    assert set(table) == {s.period for s in trees_model.card.scores if len(s.period) == 4}
    for year, cells in table.items():
        scores = [
            s for model, request in columns for s in model.card.scores if (s.period, s.request) == (year, request)
        ]
        errors = [float(stated.split(" %")[0]) for stated in cells.split(" | ")]
        inside = [float(share) for share in re.findall(r"\((\d+) %\)", cells)]
        assert errors == pytest.approx([s.median_abs_error_pct for s in scores], abs=0.1)
        assert inside == pytest.approx([100 * s.coverage for s in scores if s.coverage is not None], abs=1)


def test_the_price_that_the_readme_shows_is_the_price_that_is_answered(trees_model: HouseModel) -> None:
    (estimate,) = trees_model.estimate([House(land_area_sqft=5000, bedrooms=3)])

    shown = re.search(
        r'"price_usd":([\d.]+),"interval_usd":{"low":([\d.]+),"high":([\d.]+)', (ROOT / "README.md").read_text()
    )

    assert shown
    answered = (estimate.price_usd, estimate.interval_usd.low, estimate.interval_usd.high)
    assert tuple(map(float, shown.groups())) == pytest.approx(answered, rel=0.01)


@pytest.mark.parametrize("package", ["fastapi", "scikit-learn", "pandas"])
def test_each_lock_states_hashes_and_no_address(package: str) -> None:
    found = [*ROOT.glob("locks/*.txt"), *ROOT.glob("phase*/**/requirements*.txt")]
    locks = {path.relative_to(ROOT).as_posix(): path.read_text() for path in found}

    assert {"locks/dev.txt", "phase1_docker_api/requirements.txt"} <= locks.keys()
    assert any(f"{package}==" in text for text in locks.values())
    assert [name for name, text in locks.items() if "://" in text or "--hash=sha256:" not in text] == []


@pytest.mark.parametrize("name", ["first-push.md", "first-push.id.md"])
def test_what_the_first_push_sets_up_is_what_the_workflows_and_terraform_know(name: str) -> None:
    page = (ROOT / "docs" / "phase2" / name).read_text()
    workflows = {path.stem: path.read_text() for path in (ROOT / ".github" / "workflows").glob("*.yml")}
    read = {found for text in workflows.values() for found in re.findall(r"\bvars\.(\w+)", text)}
    environments = set(re.findall(r"^ +environment: (\w+)", workflows["deploy"] + workflows["rollback"], re.MULTILINE))
    asked = yaml.safe_load(workflows["rollback"])[True]["workflow_dispatch"]["inputs"]  # YAML 1.1 takes `on` for yes
    outputs = re.findall(r'^output "(\w+)"', (ROOT / "infra" / "aws" / "outputs.tf").read_text(), re.MULTILINE)

    assert set(re.findall(r"`(AWS_\w+)`", page)) == read
    assert set(re.findall(r"^gh variable (?:set|delete) (\w+)", page, re.MULTILINE)) <= read
    assert set(re.findall(r"^environment (\w+) ", page, re.MULTILINE)) == environments
    assert (
        set(re.findall(r"^\| `([a-z]+)` \| ", page, re.MULTILINE)) == yaml.safe_load(workflows["deploy"])["jobs"].keys()
    )
    assert set(re.findall(r"(?<=--field )(\w+)", page.partition("gh workflow run rollback.yml")[2])) == asked.keys()
    assert set(re.findall(r"out -\w+ (\w+)", page)) <= set(outputs)
    version = re.search(r"gateway-api/releases/download/([^/]+)/", page)
    assert version and f"gateway_api={version[1]} " in (ROOT / "infra" / "local" / "up.sh").read_text()


# A fenced block that a learner pastes, with the comment that says why no test can: what follows "not run:".
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+?) -->\n)?```sh\n(?P<commands>.*?)^```", re.MULTILINE | re.DOTALL)
NEEDS_DOCKER = "<!-- needs docker -->"
NOT_RUN = 15
TWINS = [page for page in PAGES if page.name.endswith(".id.md")]
# A learner's pages have a twin; what one looks up, or needs to change the course, is in English alone.
ENGLISH_ONLY = {"CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "data/README.md", "benchmarks/README.md"}
# Where the commands come from: the twins in Bahasa Indonesia have the same ones.
WITH_COMMANDS = [page for page in PAGES if page not in TWINS and BLOCK.search(page.read_text())]


def test_a_page_in_bahasa_indonesia_has_the_same_commands_and_sections_as_its_twin() -> None:
    looked_up = {page for page in PAGES if page.name == "reference.md"} | {ROOT / name for name in ENGLISH_ONLY}
    assert {page.with_name(f"{page.stem}.id.md") for page in set(PAGES) - set(TWINS) - looked_up} == set(TWINS)
    for page in TWINS:
        twin, text = page.with_name(page.name.replace(".id.md", ".md")).read_text(), page.read_text()
        assert BLOCK.findall(text) == BLOCK.findall(twin), page
        if page.parent != ROOT:  # the root's twin leaves the workshop to the English page
            assert len(re.findall("^#", text, re.MULTILINE)) == len(re.findall("^#", twin, re.MULTILINE)), page


def test_the_commands_that_no_test_runs_are_few_and_say_why() -> None:
    reasons = [m["reason"] for page in WITH_COMMANDS for m in BLOCK.finditer(page.read_text()) if m["reason"]]

    assert len(reasons) == NOT_RUN, reasons


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone as a learner has it, of what this checkout would commit, and set up as a learner does."""
    root = tmp_path_factory.mktemp("course") / "house prices"
    files = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    if (ROOT / ".tools").is_dir():
        shutil.copytree(ROOT / ".tools", root / ".tools", symlinks=True)
    for words in (["init", "--quiet", "--initial-branch=main"], ["add", "-A"], ["commit", "--quiet", "-m", "start"]):
        subprocess.run(["git", *words], cwd=root, env=LEARNER, check=True)
    return root


LEARNER = os.environ | {f"GIT_{who}_{what}": "learner" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def docker_builds() -> bool:
    """Whether a Docker engine answers, and has what builds images."""
    command, environment = ["docker", "build", "--quiet", "-"], os.environ | {"DOCKER_BUILDKIT": "1"}
    image = b"FROM scratch\nLABEL probe=1\n"
    return bool(shutil.which("docker")) and not subprocess.run(command, env=environment, input=image).returncode


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_of_a_page_works_when_pasted(page: Path, clone: Path) -> None:
    text = page.read_text()
    if NEEDS_DOCKER in text and not docker_builds():
        pytest.skip("this page needs a Docker engine that builds")
    pasted = "".join(m["commands"] for m in BLOCK.finditer(text) if not m["reason"])
    ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
    for name, port in PORTS.items():
        pasted = re.sub(rf"(127\.0\.0\.1:|--port ){port}\b", rf"\g<1>{ports[name]}", pasted)
    clean = {k: v for k, v in LEARNER.items() if not k.startswith(("HOUSE_", "MAKE", "MFLAGS"))}
    environment = clean | {name: str(port) for name, port in ports.items()}

    try:
        done = subprocess.run(
            ["bash", "-ec", pasted], cwd=clone, env=environment, capture_output=True, text=True, timeout=900
        )
    finally:
        subprocess.run([sys.executable, "scripts/stack.py", "down"], cwd=clone, env=environment, capture_output=True)

    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert "Traceback" not in done.stderr.replace(IN_A_CONTAINER, "")


IN_A_CONTAINER = 'Traceback (most recent call last):\n  File "<string>", line 1, in <module>'
