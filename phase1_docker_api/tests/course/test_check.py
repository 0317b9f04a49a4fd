"""The check of a learner's own phase: it believes a sound one, and each fault has its line and what helps."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import httpx
import pandas as pd
import pytest
from click.testing import CliRunner
from phase1_docker_api.cli import cli
from phase1_docker_api.course.check import (
    RESTART,
    WRONG,
    changed_since,
    check_phase,
    compared_with_offline,
    errors_explained,
    image_runs,
    interval_covers,
    served_equals_offline,
    service_ready,
)
from phase1_docker_api.model.house_model import HouseModel
from phase1_docker_api.schemas import MAX_BATCH_ROWS
from phase1_docker_api.service.launch import free_port
from phase1_docker_api.testing import SEATTLE

IMAGE = "house-price-api"


@pytest.fixture
def no_docker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)


def lying(status: int, body: object) -> httpx.Client:
    """A client whose service gives the same answer to everything."""
    return httpx.Client(
        base_url="http://lying", transport=httpx.MockTransport(lambda _: httpx.Response(status, json=body))
    )


def test_a_sound_phase_gets_a_tick_a_line(service_url: str, trees_artifact: Path, no_docker: None) -> None:
    findings = list(check_phase(service_url, trees_artifact, SEATTLE, IMAGE))

    assert [(f.name, f.holds) for f in findings] == [
        ("service", True),
        ("seed request", True),
        ("errors", True),
        ("served is offline", True),
        ("interval", True),
        ("image", None),
    ]
    assert findings[3].seen.startswith("200 held-out sales")
    assert "of the 881 sales in the three months after training, 90% promised" in findings[4].seen


def test_without_a_service_it_says_what_to_run_and_ends_with_1(no_docker: None) -> None:
    done = CliRunner().invoke(cli, ["check", "--port", str(free_port()), "--json"])

    *findings, exercises = json.loads(done.stdout)
    assert done.exit_code == 1
    assert [f["holds"] for f in findings] == [False, None, None, None, None, None]
    assert findings[0]["hint"].startswith("make phase1-up")
    assert exercises["name"] == "exercises"


def test_the_check_ends_with_a_sum_and_one_line_for_the_exercises(
    service_url: str, trees_artifact: Path, no_docker: None
) -> None:
    options = ["--port", service_url.rpartition(":")[2], "--model", str(trees_artifact), "--sales", str(SEATTLE)]

    done = CliRunner().invoke(cli, ["check", *options])

    *lines, total, exercises = done.stdout.splitlines()
    assert done.exit_code == 0
    assert [line[0] for line in lines if line and line[0] in "✓✗–"] == list("✓✓✓✓✓–")
    assert total == "5 of 6 hold, 1 could not be checked"
    assert re.match(r"exercises: \d of 6 done", exercises)


@pytest.mark.parametrize("words", [["--exercise", "7"], ["--hint"]])
def test_an_exercise_that_is_not_there_is_wrong_usage(words: list[str]) -> None:
    done = CliRunner().invoke(cli, ["check", *words])

    assert done.exit_code == 2
    assert "--exercise 1 to 6" in done.output


def test_a_hint_is_given_in_both_languages() -> None:
    done = CliRunner().invoke(cli, ["check", "--exercise", "1", "--hint", "2"])

    assert done.exit_code == 0
    assert "In schemas.py add multiple_of=0.25" in done.stdout
    assert "Di schemas.py tambahkan multiple_of=0.25" in done.stdout


def test_a_service_of_another_model_is_told_to_be_restarted(service_url: str, linear_artifact: Path) -> None:
    with httpx.Client(base_url=service_url) as client:
        findings = list(compared_with_offline(client, linear_artifact, SEATTLE))

    assert [(f.holds, f.hint) for f in findings] == [(False, RESTART)] * 2
    assert "the service has trees-2011-12" in findings[0].seen


def test_a_file_that_the_model_was_not_trained_on_proves_nothing(
    client: httpx.Client, trees_artifact: Path, tmp_path: Path
) -> None:
    other = tmp_path / "sales.csv"
    pd.read_parquet(SEATTLE).head(100).to_csv(other, index=False)

    findings = list(compared_with_offline(client, trees_artifact, other))

    assert [f.holds for f in findings] == [False, False]
    assert "--sales FILE" in findings[0].hint


def test_code_that_was_changed_after_the_service_started_is_named(tmp_path: Path) -> None:
    started = tmp_path / "state.json"
    started.write_text('{"ports": {"PHASE1_API_PORT": 5001}}')

    assert list(changed_since(started, 5001)) == []
    os.utime(started, (0, 0))
    [finding] = changed_since(started, 5001)

    assert finding.holds is None
    assert ".py in your folder" in finding.seen
    assert finding.hint == RESTART
    assert list(changed_since(started, 5000)) == [], "make did not start that one"
    assert list(changed_since(tmp_path / "nothing", 5001)) == []


def test_a_price_that_is_served_otherwise_is_found(
    client: httpx.Client, trees_model: HouseModel, linear_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    offline = replace(trees_model, fitted=linear_model.fitted)

    finding = served_equals_offline(client, offline, seattle_sales)

    assert finding.holds is False
    assert "200 of 200 held-out sales differ" in finding.seen


def test_an_interval_that_does_not_hold_what_it_promises_is_found(
    client: httpx.Client, trees_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    boasting = replace(trees_model, card=trees_model.card.model_copy(update={"interval_level": 0.95}))

    assert interval_covers(client, boasting, seattle_sales).holds is False


def test_an_interval_is_measured_on_more_sales_than_a_batch_may_hold(
    client: httpx.Client, trees_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    many = pd.concat([seattle_sales] * 15, ignore_index=True)

    found, expected = (interval_covers(client, trees_model, sales) for sales in (many, seattle_sales))

    assert found.seen.split()[0] == expected.seen.split()[0]
    assert int(found.seen.split()[3]) > MAX_BATCH_ROWS


def test_a_model_of_all_sales_is_not_measured_on_what_it_has_seen(
    client: httpx.Client, trees_model: HouseModel, seattle_sales: pd.DataFrame
) -> None:
    past = seattle_sales[seattle_sales["sale_date"].dt.date <= trees_model.card.trained_until]

    assert interval_covers(client, trees_model, past).holds is None
    assert "the model has seen them" in served_equals_offline(client, trees_model, past).seen


@pytest.mark.parametrize(
    "body", [{"problems": []}, {"problems": [{"field": f, "hint": ""} for _, f in WRONG.values()]}, {"detail": "no"}]
)
def test_refusals_without_a_field_and_a_hint_are_found(body: object) -> None:
    assert errors_explained(lying(422, body)).holds is False


@pytest.mark.parametrize(("status", "body"), [(503, {}), (200, {"hello": "AirPlay"}), (200, "text"), (404, {})])
def test_what_is_not_ready_or_another_program_is_not_taken_for_the_service(status: int, body: object) -> None:
    assert service_ready(lying(status, body)).holds is False


def fake_docker(folder: Path, script: str) -> Path:
    """A `docker` that writes down what it was asked and does what the script says."""
    calls = folder / "calls"
    (folder / "docker").write_text(f'#!/bin/sh\necho "$*" >>"{calls}"\n{script}\n')
    (folder / "docker").chmod(0o755)
    return calls


@pytest.mark.parametrize(
    ("script", "holds", "word"),
    [
        ("exit 1", None, "engine does not answer"),
        ('[ "$1" = info ]', False, "there is no image"),
        ('case $1 in run) echo "no space left" >&2; exit 125;; esac', False, "no space left"),
    ],
)
def test_what_docker_lacks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, holds: bool | None, word: str
) -> None:
    fake_docker(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    finding = image_runs(IMAGE)

    assert finding.holds is holds
    assert word in finding.seen
    assert finding.hint


def test_an_image_that_answers_gets_its_tick_and_its_container_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service_url: str
) -> None:
    address = service_url.removeprefix("http://")
    calls = fake_docker(tmp_path, f"case $1 in run) echo c0ffee;; port) echo {address};; esac")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    finding = image_runs(IMAGE)

    assert finding.holds is True
    assert "run in a container just for this" in finding.seen
    assert "rm --force c0ffee" in calls.read_text()
