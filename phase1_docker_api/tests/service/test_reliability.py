"""Room: reliability. Slow clients, too many, too large, too long; a full disk, a wrong clock: others notice nothing."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import psutil
import pytest
from phase1_docker_api.model.artifact import CURRENT, load_model
from phase1_docker_api.schemas import FULL_EXAMPLE, MAX_BATCH_ROWS, MINIMAL_EXAMPLE, REQUIRED_FIELDS, House, Refused
from phase1_docker_api.service.launch import running_service
from phase1_docker_api.testing import SEATTLE

MIB = 2**20
CLIENT_S = 3
MAX_WAITING = 64
SLOW_CLIENTS = 200
OVERLOAD = 10
BUSY_S = 60  # what takes a moment may take so long on a busy machine; what never happens fails then


def request(body: dict[str, Any], path: str = "/predict") -> str:
    """A whole request as text."""
    content = json.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: house\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return f"{head}\r\n\r\n{content}"


HOUSE = request(MINIMAL_EXAMPLE)
LARGEST_BATCH = request({"houses": [FULL_EXAMPLE] * MAX_BATCH_ROWS}, "/predict/batch")
SLOW_HEAD = b"POST /predict HTTP/1.1\r\nHost: house\r\nX-Slow: "
SLOW_BODY = HOUSE.partition("{")[0].encode()


class Served:
    """A service on loopback as its host sees it: an address, and a process with memory and open files."""

    def __init__(self, url: str, pid: int) -> None:
        self.url, self.port, self.process = url, httpx.URL(url).port or 0, psutil.Process(pid)

    @property
    def memory_mib(self) -> float:
        return float(self.process.memory_info().rss / MIB)

    @property
    def connections(self) -> int:
        return sum(c.status != psutil.CONN_LISTEN for c in self.process.connections("tcp"))

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@pytest.fixture(scope="module")
def served(linear_artifact: Path) -> Iterator[Served]:
    """A service with little patience and few places, so that its limits are soon reached."""
    settings = {"HOUSE_CLIENT_SECONDS": str(CLIENT_S), "HOUSE_MAX_WAITING": str(MAX_WAITING), "HOUSE_MAX_BATCHES": "4"}
    with running_service(linear_artifact, **settings) as (url, process):
        yield Served(url, process.pid)


def ask(served: Served, *requests: str, **how: float) -> dict[str, Any]:
    """Let another process ask, so that neither side's speed is that of this one."""
    told = json.dumps({"port": served.port, "requests": requests, **how})
    client = [sys.executable, str(Path(__file__).with_name("asking.py"))]
    done = subprocess.run(client, input=told, stdout=subprocess.PIPE, text=True, check=True)
    answers: dict[str, Any] = json.loads(done.stdout)
    return answers


def eventually(claim: Callable[[], bool], seconds: float) -> bool:
    """Whether the claim comes true in time."""
    deadline = time.monotonic() + seconds
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@contextlib.contextmanager
def peak_memory_mib(served: Served) -> Iterator[list[float]]:
    """The most memory that the service had so far, looked at 100 times a second, as the only item."""
    peak, over = [served.memory_mib], False

    def watch() -> None:
        while not over:
            peak[0] = max(peak[0], served.memory_mib)
            time.sleep(0.01)

    with ThreadPoolExecutor(1) as watcher:
        watcher.submit(watch)
        try:
            yield peak
        finally:
            over = True


# The first test of all: memory that a service had once, and keeps, would hide what it takes now.
def test_a_body_of_a_hundred_megabytes_costs_less_than_five(served: Served) -> None:
    ask(served, HOUSE, connections=8, count=500)
    start_mib = served.memory_mib

    costs_mib = {
        (path, framing): most_memory_while_it_comes(served, path, framing) - start_mib
        for path in ("/predict", "/predict/batch")
        for framing in ("Content-Length: 100000000", "Transfer-Encoding: chunked")
    }

    assert max(costs_mib.values()) < 5, costs_mib


def most_memory_while_it_comes(served: Served, path: str, framing: str) -> float:
    """Send 100 MB, or as much as the service takes, and look at its memory after each piece."""
    head = f"POST {path} HTTP/1.1\r\nHost: house\r\nContent-Type: application/json\r\n{framing}\r\n\r\n".encode()
    piece = b" " * 50_000
    sent = b"%x\r\n%s\r\n" % (len(piece), piece) if "chunked" in framing else piece
    peak_mib = 0.0
    with served.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(head)
        for _ in range(2000):
            connection.sendall(sent)
            peak_mib = max(peak_mib, served.memory_mib)
    return peak_mib


class Heard(asyncio.Protocol):
    """What a service says until it closes, also where a reset follows at once; a stream would forget it then."""

    def __init__(self) -> None:
        self.answer, self.closed = b"", asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set_result(None)


async def dawdle(served: Served, beginning: bytes) -> tuple[float, bytes]:
    """Send a byte a second until the service has enough of it; give the seconds it took, and what it said."""
    started = time.monotonic()
    transport, heard = await asyncio.get_running_loop().create_connection(Heard, "127.0.0.1", served.port)
    transport.write(beginning)
    while not heard.closed.done():
        transport.write(b" ")
        await asyncio.wait([heard.closed], timeout=1)
    return time.monotonic() - started, heard.answer


def test_slow_clients_disturb_nobody_and_are_cut_off_at_the_stated_time(served: Served) -> None:
    async def among_slow_clients() -> tuple[dict[str, Any], list[list[tuple[float, bytes]]]]:
        kinds = [
            [asyncio.ensure_future(dawdle(served, beginning)) for _ in range(SLOW_CLIENTS // 2)]
            for beginning in (SLOW_HEAD, SLOW_BODY)
        ]
        meanwhile = await asyncio.to_thread(ask, served, HOUSE, connections=8, seconds=1)
        return meanwhile, [await asyncio.gather(*kind) for kind in kinds]

    meanwhile, (heads, bodies) = asyncio.run(asyncio.wait_for(among_slow_clients(), BUSY_S))

    assert set(meanwhile["statuses"]) == {"200"}
    assert meanwhile["p99_ms"] < 1000 * CLIENT_S  # nobody waits until a slow one is cut off
    assert all(took >= CLIENT_S for took, _ in heads + bodies)
    assert {answer for _, answer in heads} == {b""}
    for _, answer in bodies:
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert Refused.model_validate_json(answer.partition(b"\r\n\r\n")[2]).problems[0].field == "body"


@pytest.mark.slow
def test_clients_that_fall_silent_or_do_not_fetch_their_answers_are_cut_off_too(served: Served) -> None:
    unfetched = request({"houses": [MINIMAL_EXAMPLE] * MAX_BATCH_ROWS}, "/predict/batch").encode()
    beginnings = [b"", SLOW_HEAD, SLOW_BODY, unfetched, unfetched * 2]
    with contextlib.ExitStack() as opened:
        for beginning in beginnings:
            silent = opened.enter_context(socket.socket())
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # the answers stay with the service
            silent.connect(("127.0.0.1", served.port))
            silent.sendall(beginning)
        assert eventually(lambda: served.connections > 0, BUSY_S)

        assert eventually(lambda: served.connections == 0, BUSY_S)


def test_ten_times_more_than_it_can_answer_is_refused_in_form_and_forgotten_at_once(served: Served) -> None:
    alone = ask(served, LARGEST_BATCH, connections=1, count=3)
    flood = {"rate_per_s": OVERLOAD * 3 / alone["elapsed_s"], "seconds": 3}
    start_mib = served.memory_mib
    with peak_memory_mib(served) as peak_mib, ThreadPoolExecutor(2) as callers:
        batches = callers.submit(ask, served, LARGEST_BATCH, **flood)
        singles = callers.submit(ask, served, HOUSE, connections=OVERLOAD * MAX_WAITING, seconds=3)
        singles.result()
        is_over = eventually(lambda: set(ask(served, HOUSE, connections=8, seconds=1)["statuses"]) == {"200"}, BUSY_S)

    assert peak_mib[0] - start_mib < 64
    for answers in (singles.result(), batches.result()):
        # On a busy machine the caller itself may send too slowly, which is 408.
        assert {"200", "503"} <= set(answers["statuses"]) <= {"200", "408", "503"}
        assert answers["without_retry_after"] == 0
    assert is_over


def test_two_thousand_connections_opened_and_dropped_leave_nothing_open(served: Served) -> None:
    beginnings = [b"", SLOW_HEAD, SLOW_BODY, HOUSE.encode()]
    assert eventually(lambda: served.connections == 0, BUSY_S)
    before = served.process.num_fds()

    for _ in range(20):
        with contextlib.ExitStack() as opened:
            for number in range(100):
                connection = opened.enter_context(served.connect())
                connection.sendall(beginnings[number % len(beginnings)])
                if number % 2:  # half of them are reset, and not closed
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    assert eventually(lambda: served.process.num_fds() <= before, BUSY_S)


@pytest.fixture(scope="module")
def sales_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sales of ten months, which are quickly learned from."""
    path = tmp_path_factory.mktemp("sales") / "sales.parquet"
    pd.read_parquet(SEATTLE).head(4000).to_parquet(path)
    return path


@pytest.fixture
def cramped(linear_artifact: Path, tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """A store whose model leaves no room for a second, and the words that a command must be run with.

    Only root may make a small disk; for others it is a limit on the size of a file, another OSError.
    """
    store = tmp_path / "models"
    store.mkdir()
    kib = sum(path.stat().st_size for path in linear_artifact.iterdir()) * 3 // 2 // 1024
    small_disk = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(store)]
    is_disk = subprocess.run(small_disk, stderr=subprocess.DEVNULL, check=False).returncode == 0
    try:
        shutil.copytree(linear_artifact.parent, store, symlinks=True, dirs_exist_ok=True)
        yield store, [] if is_disk else ["sh", "-c", 'ulimit -f 100 && exec "$@"', "sh"]
    finally:
        if is_disk:
            subprocess.run(["umount", store], check=True)


def training(sales_file: Path, store: Path) -> list[str]:
    """The command that trains the quickest model."""
    command = [sys.executable, "-m", "phase1_docker_api", "train", "--estimator", "linear"]
    return [*command, "--sales", str(sales_file), "--store", str(store)]


def test_a_disk_that_gets_full_while_training_leaves_the_served_model_as_it_was(
    cramped: tuple[Path, list[str]], sales_file: Path
) -> None:
    store, limit = cramped
    before = contents_of(store)

    done = subprocess.run([*limit, *training(sales_file, store)], capture_output=True, text=True, check=False)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"Error: cannot write to {store} (")
    assert "make room there" in last
    assert "Traceback" not in done.stderr
    assert contents_of(store) == before
    assert load_model(store / CURRENT).card.trained_until.year == 2011


def contents_of(store: Path) -> dict[Path, bytes]:
    """Every file of every model, drafts too; not the rows that were refused."""
    return {path: path.read_bytes() for path in store.rglob("*/*") if path.is_file()}


WRONG_CLOCK = """
import datetime as dt, itertools, os, threading, time_machine
now = dt.datetime.now(dt.timezone.utc)
if shift := os.environ.get("CLOCK_IS_OFF_BY_YEARS"):
    time_machine.travel(now + dt.timedelta(days=365 * int(shift))).start()
def jump():
    for years in itertools.cycle((30, -30)):
        with time_machine.travel(now + dt.timedelta(days=365 * years)):
            pause.wait(0.2)
pause = threading.Event()
if os.environ.get("CLOCK_JUMPS"):
    threading.Thread(target=jump, daemon=True).start()
"""


@pytest.fixture
def wrong_clock(tmp_path: Path) -> dict[str, str]:
    """An environment in which Python's clock is wrong as soon as it starts."""
    (tmp_path / "sitecustomize.py").write_text(WRONG_CLOCK)
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}


def test_a_clock_that_is_off_by_thirty_years_changes_neither_version_nor_price(
    sales_file: Path, wrong_clock: dict[str, str], tmp_path: Path
) -> None:
    stores = {years: tmp_path / years for years in ("-30", "30")}
    trainings = [
        subprocess.Popen(training(sales_file, store), env=os.environ | wrong_clock | {"CLOCK_IS_OFF_BY_YEARS": years})
        for years, store in stores.items()
    ]
    assert [training.wait(60) for training in trainings] == [0, 0]

    early, late = (load_model(store / CURRENT) for store in stores.values())
    assert late.card.trained_at.year - early.card.trained_at.year >= 59
    assert early.card.model_version == late.card.model_version
    houses = [House(**MINIMAL_EXAMPLE), House(**FULL_EXAMPLE)]
    assert early.estimate(houses) == late.estimate(houses)


def test_a_clock_that_jumps_while_it_serves_changes_neither_prices_nor_patience(
    linear_artifact: Path, wrong_clock: dict[str, str]
) -> None:
    jumping = wrong_clock | {"CLOCK_JUMPS": "yes", "HOUSE_CLIENT_SECONDS": "1"}
    with running_service(linear_artifact, **jumping) as (url, process):
        took, answer = asyncio.run(asyncio.wait_for(dawdle(Served(url, process.pid), SLOW_BODY), BUSY_S))
        dated = httpx.post(f"{url}/predict", json=FULL_EXAMPLE)
        answers = ask(Served(url, process.pid), HOUSE, connections=8, count=500)

    assert abs(parsedate_to_datetime(dated.headers["date"]).timestamp() - time.time()) > 29 * 365 * 86400
    assert took >= 1
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert dated.text == load_model(linear_artifact).estimate([House(**FULL_EXAMPLE)])[0].model_dump_json()
    assert answers["statuses"] == {"200": 500}


@pytest.mark.slow
def test_half_a_million_requests_leave_the_memory_as_it_was(linear_artifact: Path) -> None:
    optional = [name for name in FULL_EXAMPLE if name not in REQUIRED_FIELDS]
    patterns = [left_out for n in range(len(optional) + 1) for left_out in combinations(optional, n)]
    houses = [{name: value for name, value in FULL_EXAMPLE.items() if name not in left_out} for left_out in patterns]
    faulty = [{}, {"bedrooms": 3}, MINIMAL_EXAMPLE | {"colour": "red"}, MINIMAL_EXAMPLE | {"neighborhood": "A" * 65}]
    batches = [{"houses": houses[n : n + 64]} for n in range(0, 1024, 64)]
    mix = [request(body) for body in houses + faulty * 64] + [request(body, "/predict/batch") for body in batches]
    assert len(patterns) == 1024
    # Many at a time are answered together, which makes half a million quicker; none is refused for that.
    with running_service(linear_artifact, HOUSE_MAX_BATCHES="64") as (url, process):
        service = Served(url, process.pid)
        ask(service, *mix, connections=64, count=20_000)
        warm_mib = service.memory_mib
        answers = ask(service, *mix, connections=64, count=500_000)
        grown_mib = service.memory_mib - warm_mib

    assert grown_mib < 5
    assert set(answers["statuses"]) == {"200", "422"}
    assert sum(answers["statuses"].values()) == 500_000
