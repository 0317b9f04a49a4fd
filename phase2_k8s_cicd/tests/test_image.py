"""Room: image. What phase 2 adds to phase 1's image is its service, and no room of what brings it to a cluster."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from container import IMAGE, require_engine

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
SERVICE = "house-price-service:test-rooms"


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def image() -> str:
    """The image of phase 2, built on that of phase 1 as `make image` does."""
    require_engine()
    subprocess.run([sys.executable, "scripts/container.py", "build", "phase1_docker_api"], cwd=ROOT, check=True)
    built = ["--file=phase2_k8s_cicd/Dockerfile", f"--build-arg=PHASE1={IMAGE}", "--build-arg=VERSION=v7"]
    docker("build", *built, f"--tag={SERVICE}", ".")
    return SERVICE


def shell(image: str, program: str) -> list[str]:
    return docker("run", "--rm", "--entrypoint=sh", image, "-c", program).splitlines()


def test_it_holds_the_rooms_that_serve_runs_and_none_more(image: str) -> None:
    rooms = shell(image, "cd /code && ls --ignore=__pycache__ phase1_docker_api phase2_k8s_cicd")

    phase1 = ["__init__.py", "__main__.py", "cli.py", "errors.py", "model", "schemas.py", "service", "settings.py"]
    phase2 = ["__init__.py", "__main__.py", "cli.py", "errors.py", "service", "settings.py"]
    assert rooms == ["phase1_docker_api:", *phase1, "", "phase2_k8s_cicd:", *phase2]


def test_its_service_answers_with_its_version(image: str) -> None:
    ask = (
        "import json, urllib.request, time, subprocess, sys\n"
        "service = subprocess.Popen([sys.executable, '-m', 'phase2_k8s_cicd', 'serve'])\n"
        "for _ in range(300):\n"
        "    try:\n"
        "        answer = urllib.request.urlopen('http://127.0.0.1:5000/readyz'); break\n"
        "    except OSError: time.sleep(0.1)\n"
        "print(json.dumps(dict(answer.headers)))\n"
        "service.terminate()\n"
    )

    said = docker("run", "--rm", "--network=none", "--entrypoint=python", image, "-c", ask).splitlines()

    headers = next(json.loads(line) for line in said if "x-service-version" in line.lower())
    assert {name.lower(): value for name, value in headers.items()}["x-service-version"] == "v7"
