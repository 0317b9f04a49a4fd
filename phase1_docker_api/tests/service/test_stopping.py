"""Room: contract. The service starts with a clear word or not at all, and stops without losing what it was asked."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner, Result
from phase1_docker_api.cli import cli
from phase1_docker_api.schemas import Refused
from phase1_docker_api.service import server
from phase1_docker_api.service.launch import running_service

HOUSE = b'{"land_area_sqft": 5000, "bedrooms": 3}'
HEAD = b"POST /predict HTTP/1.1\r\nHost: house\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(
    HOUSE
)
IN_FLIGHT = 50


def eventually(claim: Callable[[], bool], seconds: float = 60) -> bool:
    """Whether the claim comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if claim():
            return True
        time.sleep(0.01)
    return False


def is_closed(url: str) -> bool:
    """Whether nothing listens there any more."""
    try:
        with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 0), timeout=1):
            return False
    except OSError:
        return True


@contextlib.contextmanager
def half_sent_requests(url: str, number: int) -> Iterator[list[socket.socket]]:
    """Requests whose bodies are still on their way, each on its own connection."""
    with contextlib.ExitStack() as connections:
        address = (httpx.URL(url).host, httpx.URL(url).port or 0)
        opened = [connections.enter_context(socket.create_connection(address, timeout=60)) for _ in range(number)]
        for connection in opened:
            connection.sendall(HEAD + HOUSE[:10])
        httpx.get(f"{url}/healthz").raise_for_status()  # the service has read what was sent before this
        yield opened


def finish(connection: socket.socket) -> bytes:
    """Send the rest of a half-sent request and give the whole answer."""
    connection.sendall(HOUSE[10:])
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


def serve(**settings: str) -> Result:
    """Try to serve with settings that cannot work: what `phase1 serve` does, without the cost of a new process."""
    with pytest.MonkeyPatch.context() as guard:
        guard.setattr(server, "run", lambda *_: pytest.fail("it started"))
        return CliRunner().invoke(cli, ["serve"], env=settings)


def assert_ended_with_a_word(done: Result) -> None:
    """It failed, and said so in a few lines for people, without a stack trace."""
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit), done.exception
    assert done.output.startswith("Error: ")
    assert len(done.output.splitlines()) <= 3


def test_fifty_requests_in_flight_are_answered_before_the_service_stops(linear_artifact: Path) -> None:
    batch = {"columns": {"land_area_sqft": [5000] * 3000, "bedrooms": [3] * 3000}}
    with (
        running_service(linear_artifact, HOUSE_GRACE_SECONDS="60") as (url, process),
        half_sent_requests(url, IN_FLIGHT) as connections,
        httpx.Client(base_url=url, timeout=120) as client,
        ThreadPoolExecutor(8) as callers,
    ):
        batches = [callers.submit(client.post, "/predict/batch", json=batch) for _ in range(8)]
        assert eventually(lambda: any(b.done() for b in batches))  # the others have arrived by then
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: is_closed(url))
        answers = [finish(connection) for connection in connections]
        code = process.wait(60)

    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200"] * IN_FLIGHT
    assert all(json.loads(answer.split(b"\r\n\r\n", 1)[1])["price_usd"] > 0 for answer in answers)
    assert [len(b.result().json()["estimates"]) for b in batches] == [3000] * 8
    assert code == 0


def test_ctrl_c_is_a_clean_stop_too_and_does_not_drain(linear_artifact: Path) -> None:
    with (
        running_service(linear_artifact, HOUSE_DRAIN_SECONDS="30") as (url, process),
        half_sent_requests(url, 3) as connections,
    ):
        process.send_signal(signal.SIGINT)
        assert eventually(lambda: is_closed(url))
        answers = [finish(connection) for connection in connections]
        code = process.wait(25)

    assert [answer.split(b" ", 2)[1] for answer in answers] == [b"200"] * 3
    assert code == 0


def test_a_service_that_drains_answers_on_while_it_says_that_it_is_not_ready(linear_artifact: Path) -> None:
    with (
        running_service(linear_artifact, HOUSE_DRAIN_SECONDS="1") as (url, process),
        httpx.Client(base_url=url) as client,
    ):
        told = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: client.get("/readyz").status_code == 503)
        not_ready = client.get("/readyz")
        answers = [client.post("/predict", content=HOUSE, headers={"Content-Type": "application/json"})]
        answers += [httpx.get(f"{url}/healthz")]  # on a connection of its own
        code = process.wait(20)
        took = time.monotonic() - told

    assert Refused.model_validate_json(not_ready.content).problems[0].field == "service"
    assert not_ready.headers["retry-after"] == "1"
    assert [a.status_code for a in answers] == [200, 200]
    # Else a kept connection would be cut at the end of the draining, under a request that is on its way.
    assert [a.headers.get("connection") for a in answers] == ["close", "close"]
    assert code == 0
    assert 1 <= took < 25


def test_a_stop_that_comes_in_the_middle_of_a_line_of_the_log_is_a_clean_one(linear_artifact: Path) -> None:
    reader, writer = os.pipe()
    with (
        os.fdopen(reader, "rb") as log,
        ThreadPoolExecutor(1) as readers,
        os.fdopen(writer, "wb") as end,
        running_service(linear_artifact, log=end, HOUSE_DRAIN_SECONDS="0.1") as (url, process),
        httpx.Client(base_url=url, timeout=3) as client,
    ):
        end.close()
        # Nobody reads: once the pipe is full, the service waits in the middle of a line, with the log's lock.
        with pytest.raises(httpx.ReadTimeout):
            while True:
                client.post("/predict", content=HOUSE, headers={"Content-Type": "application/json"})
        process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        said = readers.submit(log.read)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()

    assert process.returncode == 0
    assert b'"event":"drain_started"' in said.result()


def test_a_second_signal_cuts_the_draining_short_and_an_endless_request_does_not_prolong_it(
    linear_artifact: Path,
) -> None:
    with (
        running_service(linear_artifact, HOUSE_DRAIN_SECONDS="30", HOUSE_GRACE_SECONDS="1") as (url, process),
        half_sent_requests(url, 1),
    ):
        process.send_signal(signal.SIGTERM)
        assert eventually(lambda: httpx.get(f"{url}/readyz").status_code == 503)
        process.send_signal(signal.SIGTERM)
        code = process.wait(25)

    assert code == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOUSE_PORT", "abc"),
        ("HOUSE_PORT", "70000"),
        ("HOUSE_DRAIN_SECONDS", "-1"),
        ("HOUSE_DRAIN_SECONDS", "nan"),
        ("HOUSE_LOG_LEVEL", "loud"),
        ("HOUSE_MAX_WAITING", ""),
    ],
)
def test_a_wrong_setting_is_named_before_anything_starts(name: str, value: str) -> None:
    done = serve(**{name: value})

    assert_ended_with_a_word(done)
    assert f"{name}={value}: " in done.output


def test_all_wrong_settings_are_named_at_once() -> None:
    done = serve(HOUSE_PORT="abc", HOUSE_MAX_WAITING="0", HOUSE_GRACE_SECONDS="soon")

    assert_ended_with_a_word(done)
    assert all(name in done.output for name in ("HOUSE_PORT=abc", "HOUSE_MAX_WAITING=0", "HOUSE_GRACE_SECONDS=soon"))


def test_without_a_model_the_service_says_how_to_make_one(tmp_path: Path) -> None:
    done = serve(HOUSE_MODEL_PATH=str(tmp_path / "current"))

    assert_ended_with_a_word(done)
    assert str(tmp_path / "current") in done.output
    assert "phase1 train" in done.output


def test_a_damaged_model_is_not_served(linear_artifact: Path, tmp_path: Path) -> None:
    damaged = shutil.copytree(linear_artifact, tmp_path / "damaged")
    with (damaged / "model.npz").open("ab") as file:
        file.write(b"\0")

    done = serve(HOUSE_MODEL_PATH=str(damaged))

    assert_ended_with_a_word(done)
    assert "sha256sum -c SHA256SUMS" in done.output


def test_a_port_in_use_is_named_by_the_process_that_ends(linear_artifact: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        settings = {"HOUSE_MODEL_PATH": str(linear_artifact), "HOUSE_PORT": port}
        command = [sys.executable, "-m", "phase1_docker_api", "serve"]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert done.stderr.startswith("Error: ")
    assert f"127.0.0.1:{port}" in done.stderr
    assert "HOUSE_PORT" in done.stderr
