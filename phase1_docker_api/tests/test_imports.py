"""Room: code. Importing does nothing, and serving takes nothing that only training needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from phase1_docker_api.settings import PREFIX, Settings
from pydantic import ValidationError

PACKAGE = Path(str(files("phase1_docker_api")))
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    for path in PACKAGE.rglob("*.py")
    if not path.name.startswith("__")
)

# Import one module, and print what that did beyond importing.
WATCHED_IMPORT = """
import json, logging, os, sys, threading

seen = {"environment": [], "writes": [], "network": [], "processes": []}
look_up = os._Environ.__getitem__

def watched_look_up(self, name):
    seen["environment"].append(os.fsdecode(name))
    return look_up(self, name)

def watch(event, args):
    if event == "open":
        path, mode, flags = args
        writes = any(letter in mode for letter in "wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writes and str(path) != os.devnull:
            seen["writes"].append(str(path))
    elif event in ("os.mkdir", "os.rename", "os.remove", "os.symlink", "tempfile.mkstemp", "tempfile.mkdtemp"):
        seen["writes"].append(f"{event} {args[0]}")
    elif event in ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"):
        seen["network"].append(event)
    elif event in ("subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn"):
        seen["processes"].append(event)

os._Environ.__getitem__ = watched_look_up
sys.addaudithook(watch)
__import__(sys.argv[1])
import structlog
seen["logging"] = [repr(handler) for handler in logging.root.handlers] + ["structlog"] * structlog.is_configured()
seen["threads"] = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
print(json.dumps(seen))
"""

# Serve where the libraries of training are not installed.
BARE_SERVICE = """
import json, sys

class NotInstalled:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in (
            "httpx", "joblib", "matplotlib", "pandas", "pyarrow", "pytest", "scipy", "sklearn"
        ):
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, NotInstalled())

from importlib.resources import files
from pathlib import Path
from phase1_docker_api import cli
from phase1_docker_api.service import app as api, server
from phase1_docker_api.model.artifact import load_model
from phase1_docker_api.schemas import House
from phase1_docker_api.settings import Settings

model = load_model(Path(sys.argv[1]))
app = api.create_app(Settings(model_path=Path(sys.argv[1])), model)
[estimate] = model.estimate([House(land_area_sqft=5000, bedrooms=3)])
print(json.dumps([estimate.price_usd, app.title, server.run.__name__, sorted(cli.cli.commands)]))
"""


def run(program: str, *arguments: object) -> Any:
    """Run a program in a fresh interpreter that writes no bytecode; what it printed, from JSON."""
    command = [sys.executable, "-B", "-c", program, *map(str, arguments)]
    # A setting is there to be found; whoever reads the whole environment finds it too.
    environment = os.environ | {f"{PREFIX}PORT": "6001"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def imported(module: str) -> dict[str, list[str]]:
    seen: dict[str, list[str]] = run(WATCHED_IMPORT, module)
    return seen


def assert_did_nothing(seen: dict[str, list[str]]) -> None:
    """No setting read, nothing written, sent, started or configured."""
    assert [name for name in seen.pop("environment") if name.startswith(PREFIX)] == []
    assert {kind: found for kind, found in seen.items() if found} == {}


@pytest.mark.slow
@pytest.mark.parametrize("module", MODULES)
def test_importing_any_module_by_itself_does_nothing(module: str) -> None:
    assert_did_nothing(imported(module))


def test_importing_all_modules_does_nothing() -> None:
    everything = "; ".join(f"import {module}" for module in MODULES)
    seen = run(WATCHED_IMPORT.replace("__import__(sys.argv[1])", everything))

    assert_did_nothing(seen)


def test_the_watch_over_imports_sees_what_it_watches_for(tmp_path: Path) -> None:
    (tmp_path / "noisy.py").write_text(
        "import logging, os, pathlib, socket\n"
        "os.environ.get('HOUSE_PORT')\n"
        f"pathlib.Path({str(tmp_path / 'made')!r}).touch()\n"
        "socket.create_server(('127.0.0.1', 0)).close()\n"
        "logging.basicConfig()\n"
    )

    seen = run(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + WATCHED_IMPORT, "noisy")

    assert "HOUSE_PORT" in seen["environment"]
    assert seen["writes"] == [str(tmp_path / "made")]
    assert seen["network"] == ["socket.bind"]
    assert len(seen["logging"]) == 1


def test_the_service_runs_without_the_libraries_of_training(linear_artifact: Path) -> None:
    price, title, runs, verbs = run(BARE_SERVICE, linear_artifact)

    assert price > 0
    assert (title, runs) == ("House prices", "run")
    assert {"serve", "predict", "train"} <= set(verbs)


def test_the_package_has_the_modules_that_later_phases_count_on() -> None:
    assert {f"phase1_docker_api.{name}" for name in ("service.app", "cli", "schemas", "settings", "testing")} <= set(
        MODULES
    )


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_described(name: str) -> None:
    field = Settings.model_fields[name]

    assert field.description
    assert field.description.endswith(".")
    assert not field.is_required()


def test_settings_do_not_change_once_they_are_read() -> None:
    settings = Settings()

    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1  # type: ignore[misc]
    assert hash(settings) == hash(Settings())


@pytest.mark.parametrize(
    ("name", "text", "value"), [("port", "6001", 6001), ("host", "::1", "::1"), ("drain_seconds", "1.5", 1.5)]
)
def test_a_setting_is_read_from_the_environment_under_its_prefix(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object
) -> None:
    monkeypatch.setenv(name.upper(), "7")
    monkeypatch.setenv(f"{PREFIX}{name.upper()}", text)
    monkeypatch.setenv(f"{PREFIX}OF_ANOTHER_PROGRAM", "1")

    assert getattr(Settings(), name) == value
