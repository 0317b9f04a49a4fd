"""Become one of Airflow's processes: its settings, its secrets, its database, and then its own program."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from phase3_mlops_core.delivery.components import COMPONENTS
from phase3_mlops_core.delivery.keeping import keep_running
from phase3_mlops_core.errors import OrchestrationError
from phase3_mlops_core.settings import AirflowSettings

USERS = "admin:admin,viewer:viewer"


def run_component(name: str, settings: AirflowSettings, landing: Path) -> None:
    """Become a component of Airflow; the API server makes the database, and the scheduler is started again if it dies.

    Raises:
        OrchestrationError: Airflow is not installed, or its API server did not answer in time.

    """
    program = settings.venv.absolute() / "bin" / "airflow"
    if not program.exists():
        raise OrchestrationError(f"no Airflow at {program}: install it with  make phase3-up")
    home = settings.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, **environment_of(settings, landing.absolute(), credentials(home))}
    if name == "api-server":
        _migrate(program, environment)
    else:
        _wait_until_it_answers(settings)
    port = ("--port", str(settings.port)) if name == "api-server" else ()
    command = [str(program), name, *COMPONENTS[name], *port]
    if name == "scheduler":
        keep_running(command, environment)
    os.execve(program, command, environment)  # noqa: S606 - our own program


def environment_of(settings: AirflowSettings, landing: Path, secret: Mapping[str, str]) -> dict[str, str]:
    """Airflow's settings: an embedded database, two users with passwords, short intervals."""
    home, project = settings.home.absolute(), settings.project.absolute()
    airflow = {
        "CORE__LOAD_EXAMPLES": "false",
        "CORE__DAGS_FOLDER": str(project / "dags"),
        "CORE__PLUGINS_FOLDER": str(project / "plugins"),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": "2",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": str(settings.paused).lower(),
        "CORE__SIMPLE_AUTH_MANAGER_USERS": USERS,
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{settings.port}/execution/",
        "CORE__FERNET_KEY": secret["fernet_key"],
        "API__HOST": "127.0.0.1",
        "API__BASE_URL": f"http://127.0.0.1:{settings.port}",
        "API__SECRET_KEY": secret["secret_key"],
        "API_AUTH__JWT_SECRET": secret["jwt_secret"],
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",  # else a changed file is noticed after five minutes
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        # A task whose scheduler was killed is noticed after half a minute instead of several.
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "20",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "40",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    }
    return {f"AIRFLOW__{name}": value for name, value in airflow.items()} | {
        "AIRFLOW_HOME": str(home),
        "ORCHESTRATION_FAILURES": str(home / "failures.jsonl"),
        "ORCHESTRATION_LANDING": str(landing),
        "ORCHESTRATION_PHASE3": str(Path(".venv/bin/phase3").absolute()),
        "ORCHESTRATION_ROOT": str(Path.cwd()),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def credentials(home: Path) -> dict[str, str]:
    """Give the secrets that all components share, and make them first if there are none yet; mode 0600."""
    file = home / "secrets.json"
    _write_once(
        file,
        lambda: json.dumps(
            {
                "jwt_secret": secrets.token_hex(64),
                "secret_key": secrets.token_hex(32),
                "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            }
        ),
    )
    _write_once(
        home / "passwords.json",
        lambda: json.dumps({user.partition(":")[0]: secrets.token_urlsafe(12) for user in USERS.split(",")}),
    )
    stored: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return stored


def _write_once(path: Path, make: Callable[[], str]) -> None:
    """Several components start at once: the file that is linked first is the one that all of them read."""
    if path.exists():
        return
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(make())
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()


def _migrate(program: Path, environment: Mapping[str, str]) -> None:
    done = subprocess.run([program, "db", "migrate"], env=dict(environment), check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise OrchestrationError("Airflow's database could not be made: the lines above say why")


def _wait_until_it_answers(settings: AirflowSettings) -> None:
    """The API server makes the database and then answers; a scheduler that is quicker sends tasks to nobody."""
    deadline = time.monotonic() + settings.start_seconds
    while not _answers(f"http://127.0.0.1:{settings.port}/api/v2/version"):
        if time.monotonic() > deadline:
            raise OrchestrationError(f"Airflow's API server did not answer within {settings.start_seconds:.0f} s")
        time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=5).is_success
    except httpx.TransportError:
        return False
