"""The gateway of this machine lets the share of callers reach a candidate that it was told, and loses none."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from phase1_docker_api.service.launch import free_port
from phase2_k8s_cicd.errors import RolloutError
from phase2_k8s_cicd.rollout.gateway import Gateway

pytestmark = pytest.mark.slow

BECOME = """from pathlib import PosixPath
from phase2_k8s_cicd.rollout.gateway import Gateway
{gateway!r}.become()"""


ENDED: list[str] = []  # who saw a connection end


@contextmanager
def answering(name: str) -> Iterator[ThreadingHTTPServer]:
    """A server that is ready and says its name."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def finish(self) -> None:
            super().finish()
            ENDED.append(name)

        def do_GET(self) -> None:
            if self.path == "/slow":
                time.sleep(0.5)
            self.send_response(200)
            self.send_header("Content-Length", str(len(name)))
            self.end_headers()
            self.wfile.write(name.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def url_of(server: ThreadingHTTPServer) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[tuple[Gateway, ThreadingHTTPServer]]:
    """A gateway in front of two servers `old`, and beside them the candidate `new`."""
    with ExitStack() as stack:
        first, second, new = (stack.enter_context(answering(name)) for name in ("old", "old", "new"))
        gateway = Gateway(
            url=f"http://127.0.0.1:{free_port()}",
            file=tmp_path / "routes.yaml",
            serving=(url_of(first), url_of(second)),
            candidate=url_of(new),
        )
        process = stack.enter_context(subprocess.Popen([sys.executable, "-c", BECOME.format(gateway=gateway)]))
        stack.callback(process.terminate)
        deadline = time.monotonic() + 300
        while "old" not in answers(gateway, 1):
            assert time.monotonic() < deadline, "no gateway"
            time.sleep(0.1)
        yield gateway, new


def answers(gateway: Gateway, number: int) -> Counter[str]:
    """Count who answers, and with which status where it is not 200."""
    found: Counter[str] = Counter()
    with httpx.Client(trust_env=False) as client:
        for _ in range(number):
            try:
                answer = client.get(gateway.url, timeout=10)
            except httpx.TransportError:
                found["nobody"] += 1
                continue
            found[answer.text if answer.status_code == httpx.codes.OK else str(answer.status_code)] += 1
    return found


def test_the_share_of_callers_is_exact_at_each_step_and_none_is_lost(
    gateway: tuple[Gateway, ThreadingHTTPServer],
) -> None:
    told, _ = gateway
    seen = {}

    for percent in (5, 25, 100, 0):
        told.shift(percent)
        seen[percent] = answers(told, 200)
        assert told.notices_after_s() == 2

    assert seen == {
        5: Counter(old=190, new=10),
        25: Counter(old=150, new=50),
        100: Counter(new=200),
        0: Counter(old=200),
    }


def test_callers_who_ask_while_shares_change_lose_nothing(gateway: tuple[Gateway, ThreadingHTTPServer]) -> None:
    told, _ = gateway
    found: Counter[str] = Counter()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            found.update(answers(told, 20))

    asking = threading.Thread(target=ask)
    asking.start()
    for percent in (5, 25, 100, 0, 50, 0):
        told.shift(percent)
    done.set()
    asking.join()

    assert found.keys() <= {"old", "new"}
    assert found["old"]


def test_connections_that_idle_are_let_go_before_servers_do_so(gateway: tuple[Gateway, ThreadingHTTPServer]) -> None:
    told, _ = gateway
    told.shift(100)
    ENDED.clear()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: httpx.get(f"{told.url}/slow", trust_env=False, timeout=60), range(8)))
    deadline = time.monotonic() + 60  # the gateway's default is 90 s
    while ENDED.count("new") < 4:  # one may stay busy with looks at whether it is ready
        assert time.monotonic() < deadline, ENDED
        time.sleep(0.1)


def test_the_share_of_a_candidate_that_dies_goes_to_those_that_serve(
    gateway: tuple[Gateway, ThreadingHTTPServer],
) -> None:
    told, new = gateway
    told.shift(50)
    new.shutdown()
    new.server_close()

    deadline = time.monotonic() + 300
    while answers(told, 20) != Counter(old=20):  # the gateway looks once a second
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_gateway_that_is_not_there_ends_a_shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phase2_k8s_cicd.rollout.gateway.READ_SECONDS", 0)
    nobody = Gateway(f"http://127.0.0.1:{free_port()}", tmp_path / "routes.yaml", (), "http://127.0.0.1:1")

    with pytest.raises(RolloutError, match="the gateway did not shift to 5 %"):
        nobody.shift(5)
