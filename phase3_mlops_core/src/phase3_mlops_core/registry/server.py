"""Start the MLflow server as one light process tree: one worker, no job queue, users with passwords."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from phase3_mlops_core.registry.password import generated_password
from phase3_mlops_core.settings import MlflowServerSettings

# What keeps every MLflow process of ours from unpickling, from telling others that it runs, and from chatting.
QUIET = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
# Without a cache of who has logged in, each request costs a password hash.
USERS = """[mlflow]
default_permission = READ
database_uri = {uri}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
auth_cache_ttl_seconds = 300
"""


def serve(settings: MlflowServerSettings, home: Path) -> None:
    """Become the MLflow server; its password is the one of the settings, or the one generated into `home`."""
    store = settings.store.resolve()
    store.mkdir(parents=True, exist_ok=True)
    given = settings.password.get_secret_value() if settings.password else None
    environment = os.environ | server_environment(settings, store, given or generated_password(home))
    command = server_command(settings, store)
    os.chdir(store)
    os.execve(command[0], command, environment)  # noqa: S606  # an argument list, no shell


def server_command(settings: MlflowServerSettings, store: Path) -> list[str]:
    """The command line of `mlflow server`."""
    options = {
        "--host": settings.host,
        "--port": str(settings.port),
        "--workers": "1",
        "--app-name": "basic-auth",
        "--backend-store-uri": settings.backend_uri or f"sqlite:///{store}/mlflow.db",
        "--artifacts-destination": settings.artifacts or str(store / "artifacts"),
        "--allowed-hosts": _with_ports(settings),
        "--uvicorn-opts": "--log-level warning",
    }
    words = [word for option in options.items() for word in option]
    return [str(Path(sys.executable).with_name("mlflow")), "server", "--serve-artifacts", *words]


def server_environment(settings: MlflowServerSettings, store: Path, password: str) -> dict[str, str]:
    """What the server is told through its environment; the password stands in no command line."""
    users = store / "users.ini"
    uri = settings.auth_uri or f"sqlite:///{store}/users.db"
    users.touch(mode=0o600)
    users.write_text(USERS.format(uri=uri.replace("%", "%%")))
    return QUIET | {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_AUTH_CONFIG_PATH": str(users),
        "MLFLOW_AUTH_ADMIN_USERNAME": settings.user,
        "MLFLOW_AUTH_ADMIN_PASSWORD": password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": hashlib.sha256(f"cookies of {password}".encode()).hexdigest(),
    }


def _with_ports(settings: MlflowServerSettings) -> str:
    """A Host header carries the port, and is compared as a whole."""
    hosts = [host.strip() for host in settings.allowed_hosts.split(",")]
    return ",".join(name for host in hosts for name in dict.fromkeys((host, f"{host.split(':')[0]}:{settings.port}")))
