"""Room: delivery. What Airflow's processes are given, without starting them."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from phase3_mlops_core.delivery.airflow import credentials, environment_of, run_component
from phase3_mlops_core.errors import OrchestrationError
from phase3_mlops_core.settings import AirflowSettings


def test_processes_that_start_at_once_agree_on_secrets_that_only_the_owner_reads(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as four:
        agreed = list(four.map(credentials, [tmp_path] * 4))

    assert all(secret == agreed[0] for secret in agreed)
    assert len(set(agreed[0].values())) == 3
    assert {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {
        "passwords.json": 0o600,
        "secrets.json": 0o600,
    }


def test_each_user_has_a_password_and_one_of_them_may_only_look(tmp_path: Path) -> None:
    environment = environment_of(AirflowSettings(home=tmp_path), tmp_path, credentials(tmp_path))

    passwords = json.loads(Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"]).read_text())
    assert environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "admin:admin,viewer:viewer"
    assert passwords.keys() == {"admin", "viewer"}
    assert len(set(passwords.values())) == 2
    assert min(map(len, passwords.values())) >= 16
    assert "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS" not in environment


def test_it_listens_on_this_computer_alone_and_on_the_port_of_its_settings(tmp_path: Path) -> None:
    environment = environment_of(AirflowSettings(home=tmp_path, port=6000), tmp_path, credentials(tmp_path))

    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:6000/execution/"


@pytest.mark.parametrize(("paused", "said"), [(True, "true"), (False, "false")])
def test_a_new_dag_waits_only_if_the_settings_say_so(tmp_path: Path, paused: bool, said: str) -> None:
    environment = environment_of(AirflowSettings(home=tmp_path, paused=paused), tmp_path, credentials(tmp_path))

    assert environment["AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION"] == said


def test_without_an_installation_the_message_names_the_command(tmp_path: Path) -> None:
    settings = AirflowSettings(home=tmp_path / "home", venv=tmp_path / "venv")

    with pytest.raises(OrchestrationError, match="make phase3-up"):
        run_component("scheduler", settings, tmp_path)
