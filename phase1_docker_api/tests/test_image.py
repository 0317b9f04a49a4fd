"""Room: image. What was built is small, holds nothing it does not need, and serves with no rights at all."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pandas as pd
import pytest
from container import HARDENED, IMAGE, Container, require_engine
from phase1_docker_api.course.check import image_runs
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.schemas import House
from phase1_docker_api.service.launch import free_port
from phase1_docker_api.training.sales import records_of

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
CREATED = "2026-01-02T03:04:05Z"
MB = 1_000_000
HOUSE = b'{"land_area_sqft": 5000, "bedrooms": 3}'
HEAD = b"POST /predict HTTP/1.1\r\nHost: house\r\nContent-Type: application/json\r\nContent-Length: 39\r\n\r\n"
# Asks from inside, where a container without a network can be reached.
ASK = """
import http.client
service = http.client.HTTPConnection("127.0.0.1", 5000)
service.request("POST", "/predict", '{"land_area_sqft": 5000, "bedrooms": 3}', {"Content-Type": "application/json"})
print(service.getresponse().read().decode())
"""


def docker(*arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = ["docker", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=120)


def build(**environment: str) -> dict[str, str]:
    """Build the image as `make phase1-image` does, and give its labels."""
    command = [sys.executable, ROOT / "scripts/container.py", "build", "phase1_docker_api"]
    clean = {name: value for name, value in os.environ.items() if name != "CREATED"}
    subprocess.run(command, env=clean | environment, check=True, timeout=600)
    labels: dict[str, str] = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", IMAGE).stdout)
    return labels


@pytest.fixture(scope="module")
def labels() -> dict[str, str]:
    """The labels of the image, which is built for them."""
    require_engine()
    return build(CREATED=CREATED)


@pytest.fixture
def image(labels: dict[str, str]) -> str:
    """The name of the image, once it is built."""
    assert labels
    return IMAGE


@contextlib.contextmanager
def running(*arguments: object) -> Iterator[str]:
    """A container of the image; gives its name, and removes it."""
    name = f"house-price-test-{uuid4().hex[:8]}"
    try:
        docker("run", "--detach", "--name", name, *arguments)
        yield name
    finally:
        docker("rm", "--force", name)


@contextlib.contextmanager
def serving(*arguments: object) -> Iterator[tuple[str, str]]:
    """A container of the image that answers; gives its name and address."""
    port = free_port()
    with running("--publish", f"127.0.0.1:{port}:5000", *arguments, IMAGE) as name:
        url = f"http://127.0.0.1:{port}"
        assert eventually(lambda: answers(f"{url}/readyz")), docker("logs", name).stdout
        yield name, url


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


def state(name: str, field: str) -> str:
    return docker("inspect", "--format", f"{{{{.State.{field}}}}}", name).stdout.strip()


def eventually(claim: Callable[[], bool], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.1)
    return False


def shell(program: str, *arguments: object) -> list[str]:
    """The lines that a shell in the image prints, as root, who sees everything."""
    return docker(
        "run", "--rm", "--user", 0, *arguments, "--entrypoint", "sh", IMAGE, "-c", program
    ).stdout.splitlines()


@contextlib.contextmanager
def half_sent_request(url: str) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0), timeout=20) as connection:
        connection.sendall(HEAD + HOUSE[:10])
        httpx.get(f"{url}/healthz").raise_for_status()  # the service has read what was sent before this
        yield connection


def finish(connection: socket.socket) -> bytes:
    connection.sendall(HOUSE[10:])
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def test_it_adds_at_most_100_mb_to_its_base(image: str) -> None:
    history = docker("history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", image).stdout
    layers = [line.split("\t") for line in history.splitlines()]
    first = next(number for number, (_, made_by) in enumerate(layers) if "compileall" in made_by)

    ours = [int(size) for size, _ in layers[: first + 1]]

    assert 50 * MB < sum(ours) <= 100 * MB
    assert sum(size > 0 for size in ours) <= 4


def test_it_says_what_it_is_and_who_made_it_from_what(labels: dict[str, str]) -> None:
    project = tomllib.loads((ROOT / "phase1_docker_api/pyproject.toml").read_text())["project"]
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    ours = {name.rpartition(".")[2]: value for name, value in labels.items() if "opencontainers" in name}

    assert ours["version"] == project["version"]
    assert ours["licenses"] == project["license"]
    assert ours["revision"].removesuffix("-dirty") == head.strip()
    assert ours["created"] == CREATED
    assert ours["title"]
    assert ours["description"]


def test_it_has_no_date_unless_one_is_given(image: str) -> None:
    assert not [name for name in build() if name.endswith(".created")]


def test_it_holds_what_serving_needs_and_nothing_else(image: str) -> None:
    unneeded = (
        "sklearn scipy joblib pandas pyarrow matplotlib pytest honcho uv "
        ".git .env .ssh *.parquet *.key .cache *-requirements.txt tests"
    )
    names = " -o ".join(f"-name '{name}'" for name in unneeded.split())

    found = shell(f"find /app /code /model /build /root /home /tmp /usr/local {names} 2>/dev/null; ls /tmp")
    compilers = shell("for name in cc gcc g++ c++ clang ld make cargo; do command -v $name; done; true")
    writable = shell("find /app /code /model ! -type l -perm -o=w")
    unreadable = shell("find /app /code /model ! -type l ! -perm -o=r")

    assert (found, compilers, writable, unreadable) == ([], [], [], [])
    assert shell("ls /model") == ["SHA256SUMS", "card.json", "model.npz", "provenance.json", "reference.json"]
    assert shell("ls /code") == ["bin", "phase1_docker_api", "phase1_docker_api-0.1.0.dist-info"]


def test_it_holds_the_rooms_that_serve_runs_and_none_more(image: str) -> None:
    rooms = shell("cd /code/phase1_docker_api && ls --ignore=__pycache__")

    expected = ["__init__.py", "__main__.py", "cli.py", "errors.py", "model", "schemas.py", "service", "settings.py"]
    assert rooms == expected


def test_its_user_is_nobody_and_every_module_is_compiled(image: str) -> None:
    user = docker("image", "inspect", "--format", "{{.Config.User}}", image).stdout.strip()

    imported = docker(
        "run", "--rm", "--entrypoint", "python", image, "-v", "-c", "import phase1_docker_api.service.app"
    ).stderr

    assert [number.isdecimal() and int(number) > 0 for number in user.split(":")] == [True, True]
    assert ".pyc matches" in imported
    assert [line for line in imported.splitlines() if line.startswith("# code object from /")] == []


def test_it_serves_as_any_user_without_a_network_a_right_or_a_place_to_write(image: str) -> None:
    alone = ["--user", "12345:54321", "--network", "none", "--env", "http_proxy=http://127.0.0.1:9"]

    with running(*HARDENED, *alone, "--health-interval", "1s", IMAGE) as name:
        healthy = eventually(lambda: state(name, "Health.Status") == "healthy")
        answer = json.loads(docker("exec", name, "python", "-c", ASK).stdout)
        writing = docker("exec", name, "touch", "/tmp/file", check=False)  # noqa: S108 - inside the container
        who = docker("exec", name, "id", "-u").stdout.strip()

    assert healthy
    assert answer["price_usd"] > 0
    assert "Read-only file system" in writing.stderr
    assert who == "12345"


def test_a_service_that_hangs_becomes_unhealthy(image: str) -> None:
    checks = ["--health-interval", "1s", "--health-timeout", "2s", "--health-retries", "1"]
    with serving(*checks) as (name, _):
        assert eventually(lambda: state(name, "Health.Status") == "healthy")

        docker("kill", "--signal", "STOP", name)
        hangs = eventually(lambda: state(name, "Health.Status") == "unhealthy")

    assert hangs


def test_it_answers_what_its_model_answers_offline(image: str, seattle_sales: pd.DataFrame, tmp_path: Path) -> None:
    sold = records_of(seattle_sales[list(House.model_fields)].tail(200))
    with serving(*HARDENED) as (name, url):
        docker("cp", f"{name}:/model", tmp_path)
        served = httpx.post(f"{url}/predict/batch", json={"houses": sold}).json()["estimates"]
        seed = httpx.post(f"{url}/predict", content=HOUSE, headers={"Content-Type": "application/json"}).json()
        page = httpx.get(f"{url}/")

    model = load_model(tmp_path / "model")
    offline = model.estimate([House(**json.loads(HOUSE)), *(House(**house) for house in sold)])

    assert [seed["price_usd"], *(e["price_usd"] for e in served)] == [estimate.price_usd for estimate in offline]
    assert (model.card.estimator, str(model.card.trained_until)) == ("trees", "2011-12-31")
    assert page.is_success


def test_another_model_is_served_when_it_is_mounted(image: str, linear_artifact: Path) -> None:
    with serving(*HARDENED, "--volume", f"{linear_artifact}:/model:ro") as (_, url):
        ready = httpx.get(f"{url}/readyz").json()

    assert ready["model_version"] == linear_artifact.name


def test_a_model_that_was_tampered_with_is_not_served(image: str, linear_artifact: Path, tmp_path: Path) -> None:
    tampered = shutil.copytree(linear_artifact, tmp_path / "tampered")
    with (tampered / "model.npz").open("ab") as file:
        file.write(b"\0")

    with running(*HARDENED, "--volume", f"{tampered}:/model:ro", image) as name:
        ended = eventually(lambda: state(name, "Status") == "exited")
        code = state(name, "ExitCode")
        said = docker("logs", name).stderr

    assert (ended, code) == (True, "1")
    assert "sha256sum -c SHA256SUMS" in said
    assert "Traceback" not in said


def test_stopping_answers_what_is_in_flight_and_does_not_wait_for_what_never_ends(image: str) -> None:
    with (
        serving(*HARDENED) as (name, url),
        half_sent_request(url) as answered,
        half_sent_request(url),
        ThreadPoolExecutor(1) as other,
    ):
        stopping = other.submit(docker, "stop", name)
        assert eventually(lambda: not answers(f"{url}/healthz"))
        answer = finish(answered)
        stopping.result()
        code = state(name, "ExitCode")

    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"price_usd"' in answer
    assert code == "0"


def test_it_stops_at_once_when_it_has_only_begun_to_start(image: str) -> None:
    with running(IMAGE) as name:
        asked = time.monotonic()
        docker("stop", name)
        took = time.monotonic() - asked
        code = state(name, "ExitCode")

    assert took < 5
    assert code == "143", "it ended by the signal, and was not killed"


def test_the_check_of_a_phase_leaves_no_container_behind(image: str) -> None:
    before = docker("ps", "--all", "--quiet").stdout

    finding = image_runs(image)

    assert finding.holds, finding.seen
    assert docker("ps", "--all", "--quiet").stdout == before


def test_make_runs_it_and_stops_it() -> None:
    def make(target: str, *words: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PORT", "RUNTIME"))}
        command = ["make", "--no-print-directory", target, *words]
        return subprocess.run(command, cwd=ROOT, env=clean, capture_output=True, text=True, check=True).stdout

    name, port = Container("phase1_docker_api").name, free_port()
    assert docker("container", "inspect", name, check=False).returncode, "stop yours first: make phase1-down"
    try:
        first = make("phase1-up", "RUNTIME=docker", f"PORT={port}")
        price = httpx.post(
            f"http://127.0.0.1:{port}/predict", content=HOUSE, headers={"Content-Type": "application/json"}
        )
        second = make("phase1-up")
        host = json.loads(docker("inspect", "--format", "{{json .HostConfig}}", name).stdout)
    finally:
        stopped = make("phase1-down")

    assert f"✓ phase1_docker_api is ready at http://127.0.0.1:{port}" in first
    assert price.is_success
    assert f"already running at http://127.0.0.1:{port}" in second
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])
    assert host["PortBindings"]["5000/tcp"][0]["HostIp"] == "127.0.0.1"
    assert host["Memory"] > 0
    assert "✓ phase1_docker_api is stopped" in stopped
    assert "was not running" in make("phase1-down", "RUNTIME=docker")
