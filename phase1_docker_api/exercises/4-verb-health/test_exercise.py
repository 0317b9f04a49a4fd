"""Exercise 4: `phase1 health` exits with 0 when the service is ready, with 1 when it is not or nothing listens."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from phase1_docker_api.cli import cli
from phase1_docker_api.service.launch import free_port


@contextmanager
def service_that_answers(status: int) -> Iterator[int]:
    """Serve /readyz with this status; give the port."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *words: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def assert_exit_code(port: int, code: int, when: str) -> None:
    command = [sys.executable, "-m", "phase1_docker_api", "health", "--port", str(port)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert "Traceback" not in done.stderr, f"when {when} it ends with a stack trace: {done.stderr.splitlines()[-1]}"
    assert done.returncode == code, f"when {when} it exits with {done.returncode}, not {code}"


def test_the_verb_is_there() -> None:
    assert "health" in cli.commands, "there is no verb `phase1 health` yet"


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_exit_code_says_whether_the_service_is_ready(status: int, code: int) -> None:
    with service_that_answers(status) as port:
        assert_exit_code(port, code, f"/readyz says {status}")


def test_the_exit_code_is_1_when_nothing_listens() -> None:
    assert_exit_code(free_port(), 1, "nothing listens")
