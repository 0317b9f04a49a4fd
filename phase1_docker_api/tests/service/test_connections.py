"""Room: contract. A client that breaks HTTP, or goes away, harms nobody else."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from phase1_docker_api.service.launch import running_service

HOUSE = b'{"land_area_sqft": 5000, "bedrooms": 3}'
HEAD = b"POST /predict HTTP/1.1\r\nHost: house\r\nContent-Type: application/json\r\n"
PREDICT = HEAD + b"Content-Length: %d\r\n\r\n" % len(HOUSE) + HOUSE
LAST = b"GET /healthz HTTP/1.1\r\nHost: house\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service") / "log"


@pytest.fixture(scope="module")
def service(linear_artifact: Path, log: Path) -> Iterator[tuple[str, psutil.Process]]:
    """A service of this room's own, whose log is kept."""
    with log.open("wb") as file, running_service(linear_artifact, log=file) as (url, process):
        yield url, psutil.Process(process.pid)


@pytest.fixture
def connection(service: tuple[str, psutil.Process], log: Path) -> Iterator[socket.socket]:
    """One connection as bytes; afterwards the service answers others, and has nothing to explain."""
    url = httpx.URL(service[0])
    with socket.create_connection((url.host, url.port or 0), timeout=10) as connection:
        yield connection
    assert httpx.post(url.join("/predict"), json=json.loads(HOUSE)).status_code == 200
    assert "exception" not in log.read_text()
    assert "Traceback" not in log.read_text()


def answers_on(connection: socket.socket) -> list[bytes]:
    """The status codes of all answers until the service closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    return [part.split(b" ", 2)[1] for part in received.split(b"HTTP/1.1")[1:]]


def last_line_about(log: Path, event: str) -> str:
    """Wait for a line of the log."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if lines := [line for line in log.read_text().splitlines() if event in line]:
            return lines[-1]
        time.sleep(0.02)
    raise AssertionError(f"nothing about {event} in the log")


def test_a_client_that_hangs_up_in_the_middle_of_a_body_is_let_go(connection: socket.socket, log: Path) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + HOUSE)
    connection.close()

    assert json.loads(last_line_about(log, "caller_left"))["status"] == 400


def test_a_body_shorter_than_its_length_gets_no_price(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + HOUSE)
    connection.shutdown(socket.SHUT_WR)

    assert b"200" not in answers_on(connection)


def test_a_body_longer_than_its_length_gets_no_price(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 10\r\n\r\n" + HOUSE)

    assert set(answers_on(connection)) <= {b"422", b"400"}


@pytest.mark.parametrize(
    "length", [b"-1", b"ten", b"", b"1e3", b"0x27", b"39, 39", b"9" * 30, b"39\r\nContent-Length: 40"]
)
def test_a_length_that_is_no_number_is_refused(connection: socket.socket, length: bytes) -> None:
    connection.sendall(HEAD + b"Content-Length: " + length + b"\r\n\r\n" + HOUSE)

    assert answers_on(connection) == [b"400"]


@pytest.mark.parametrize("more", [b"Content-Length: 39\r\n", b""], ids=["with a length", "badly cut"])
def test_pieces_that_could_be_read_in_two_ways_are_refused(connection: socket.socket, more: bytes) -> None:
    connection.sendall(HEAD + more + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + HOUSE)

    assert answers_on(connection) == [b"400"]


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"hello\r\n\r\n",
        "GET /é HTTP/1.1\r\n\r\n".encode(),
        b"GET / HTTP/9\r\n\r\n",
    ],
    ids=["TLS", "a greeting", "a raw path", "a version to come"],
)
def test_what_is_not_http_is_refused(connection: socket.socket, nonsense: bytes) -> None:
    connection.sendall(nonsense)

    assert answers_on(connection) == [b"400"]


def test_a_flood_of_headers_does_no_harm(connection: socket.socket, service: tuple[str, psutil.Process]) -> None:
    flood = b"".join(b"X-Flood-%d: %s\r\n" % (number, b"a" * 1000) for number in range(10_000))
    with contextlib.suppress(ConnectionError):
        connection.sendall(LAST.removesuffix(b"\r\n") + flood + b"\r\n")

    assert answers_on(connection) in ([b"200"], [b"400"], [b"431"], [])
    assert service[1].memory_info().rss < 1_000_000_000


def test_requests_sent_without_waiting_are_answered_in_their_order(connection: socket.socket) -> None:
    refused = HEAD + b"Content-Length: 2\r\n\r\n{}"
    connection.sendall(PREDICT + refused + PREDICT + b"GET /nowhere HTTP/1.1\r\nHost: house\r\n\r\n" + PREDICT + LAST)

    assert answers_on(connection) == [b"200", b"422", b"200", b"404", b"200", b"200"]


def test_the_rest_of_a_refused_body_is_not_taken_for_a_request(connection: socket.socket) -> None:
    wrong_type = PREDICT.replace(b"application/json", b"text/plain").replace(b": 39", b": %d" % (39 + len(LAST)))
    connection.sendall(wrong_type + LAST)

    assert answers_on(connection) == [b"415"]


def test_a_hundred_megabytes_are_refused_at_their_length(connection: socket.socket) -> None:
    connection.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")

    assert answers_on(connection) == [b"413"]


def test_a_client_that_sends_a_hundred_megabytes_reads_the_refusal(service: tuple[str, psutil.Process]) -> None:
    sent = 0

    def pieces() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(1000):
            sent += 100_000
            yield b" " * 100_000

    headers = {"Content-Type": "application/json", "Content-Length": "100000000"}
    answer = httpx.post(f"{service[0]}/predict", content=pieces(), headers=headers)

    assert answer.status_code == 413
    assert sent < 50_000_000


def test_endless_pieces_are_refused_before_they_fill_the_memory(service: tuple[str, psutil.Process]) -> None:
    before = service[1].memory_info().rss

    answer = httpx.post(
        f"{service[0]}/predict/batch",
        content=(b" " * 100_000 for _ in range(3000)),
        headers={"Content-Type": "application/json"},
        timeout=60,
    )

    assert answer.status_code == 413
    assert service[1].memory_info().rss - before < 100_000_000


def test_a_body_that_is_announced_first_is_asked_for(connection: socket.socket) -> None:
    connection.sendall(PREDICT.replace(b"\r\n\r\n" + HOUSE, b"\r\nExpect: 100-continue\r\n\r\n"))
    asked = connection.recv(1000)
    connection.sendall(HOUSE + LAST)

    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert answers_on(connection) == [b"200", b"200"]


# As curl --http2, Java's HttpClient and a browser's WebSocket send them.
OFFERS = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n",
}
WITH_LENGTH = b"Content-Length: %d\r\n\r\n" % len(HOUSE) + HOUSE
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(HOUSE), HOUSE)


def answer_on(connection: socket.socket) -> bytes:
    """One whole answer; the connection stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1)
    [length] = re.findall(rb"\r\ncontent-length: (\d+)\r\n", received)
    return received + connection.recv(int(length), socket.MSG_WAITALL)


@pytest.mark.parametrize("cut", ["nowhere", "in the offer", "before the body", "in the body", "everywhere"])
@pytest.mark.parametrize("body", [WITH_LENGTH, IN_CHUNKS], ids=["length", "chunks"])
@pytest.mark.parametrize("offer", OFFERS)
def test_a_request_that_offers_an_upgrade_is_answered_as_usual(
    connection: socket.socket, offer: str, body: bytes, cut: str
) -> None:
    request = HEAD + OFFERS[offer] + body
    begin = request.index(b"\r\n\r\n") + 4
    middle = {"in the offer": len(HEAD) + 20, "before the body": begin, "in the body": begin + 9}.get(cut, len(request))
    pieces = [request[:middle], request[middle:]] if cut != "everywhere" else [bytes([byte]) for byte in request]
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    for piece in pieces:
        connection.sendall(piece)
        time.sleep(0.001)  # so that most pieces arrive alone; the answer is the same when they do not
    first = answer_on(connection)
    connection.sendall(PREDICT)
    second = answer_on(connection)

    assert first.split(b" ", 2)[1] == b"200"
    assert first.rpartition(b"\r\n\r\n")[2] == second.rpartition(b"\r\n\r\n")[2]


def test_requests_with_offers_that_come_in_one_piece_are_all_answered(connection: socket.socket) -> None:
    offering = HEAD + OFFERS["h2c"] + WITH_LENGTH
    head_only = b"GET /healthz HTTP/1.1\r\nHost: house\r\n" + OFFERS["h2c"] + b"\r\n"
    connection.sendall((offering + head_only) * 20 + PREDICT + LAST)

    assert answers_on(connection) == [b"200"] * 42


def test_an_offer_does_not_keep_a_connection_that_is_to_be_closed(connection: socket.socket) -> None:
    connection.sendall(HEAD + OFFERS["h2c"].replace(b"Upgrade, HTTP2", b"close, Upgrade, HTTP2") + WITH_LENGTH)

    assert answers_on(connection) == [b"200"]


@pytest.mark.parametrize("target", [b"house:443", b"/predict"])
def test_a_tunnel_is_refused(connection: socket.socket, target: bytes) -> None:
    connection.sendall(b"CONNECT " + target + b" HTTP/1.1\r\nHost: house\r\nConnection: close\r\n\r\n")

    assert answers_on(connection) in ([b"400"], [b"405"])
