"""Run an app so that it starts warm and stops without losing what it was asked."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import time
from types import FrameType
from typing import cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from phase1_docker_api.errors import ServiceError
from phase1_docker_api.service.logs import get_logger
from phase1_docker_api.service.protocol import HttpProtocol
from phase1_docker_api.settings import Settings


class PatientServer(uvicorn.Server):
    """Uvicorn that cuts off slow clients, and stops gently.

    At SIGTERM it first says that it is not ready, answers on for a while, and only then closes.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, settings: Settings) -> None:
        super().__init__(config)
        self._service, self._drain_seconds = app.state.service, settings.drain_seconds
        self._slow_clients = SlowClients(settings.client_seconds)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def on_tick(self, counter: int) -> bool:
        """Look after slow clients once a second; uvicorn calls this ten times as often."""
        if counter % 10 == 0:
            self._slow_clients.cut_off(cast(set[HttpProtocol], self.server_state.connections))
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and from then on be able to drain."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal, or Ctrl-C, does not wait.

        A signal comes between any two steps of other code, which may hold the lock of the log, say: whatever
        takes a lock here could wait for ever. So the event loop does the rest.
        """
        draining = not self._service.ready
        self._service.ready = False
        if draining or sig == signal.SIGINT or not self._drain_seconds or self._loop is None:
            super().handle_exit(sig, frame)
        else:
            self._loop.call_soon_threadsafe(self._drain, sig, frame)

    def _drain(self, sig: int, frame: FrameType | None) -> None:
        get_logger().info("drain_started", seconds=self._drain_seconds)
        # A connection that is kept alive would be cut at the end, maybe under a request that is on its way: from now on
        # each answer says that it is the last one here, and the caller's next connection leads to another replica.
        self.config.encoded_headers.append((b"connection", b"close"))
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        cast(asyncio.AbstractEventLoop, self._loop).call_later(self._drain_seconds, super().handle_exit, sig, frame)


class SlowClients:
    """Ends connections on which the client's turn lasts too long, which uvicorn alone lets stand forever.

    It looks at all connections now and then, because a timer for each request would cost more than its parsing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[tuple[HttpProtocol, RequestResponseCycle | None], float] = {}

    def cut_off(self, connections: set[HttpProtocol]) -> None:
        """Cut who has sent no whole head, or does not fetch its answers; let who reads a body look at the time."""
        now, owing = time.monotonic(), {}
        for connection in list(connections):
            cycle: RequestResponseCycle | None = connection.cycle
            if cycle is None or cycle.response_complete or connection.flow.write_paused:
                owing[connection, cycle] = self._since.get((connection, cycle), now)
            elif cycle.more_body:
                cycle.message_event.set()  # the application receives an empty piece, and looks at the clock
        self._since = owing
        for (connection, _), since in owing.items():
            if now - since > self._seconds:
                # Not `close`, which would wait until all is sent to a client that does not read.
                connection.transport.abort()


def run(app: FastAPI, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; return once every request in flight is answered.

    Raises:
        ServiceError: the port is taken, or the address is not this machine's.

    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=HttpProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    # What was loaded lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    # What a request makes has no cycles; to look for them after every 700 objects took a sixth of a batch's time.
    gc.set_threshold(50_000)
    # Uvicorn raises the signal again after it has closed; that would turn a clean stop into a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with _listener(settings) as listener:
        PatientServer(config, app, settings).run([listener])


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise ServiceError(
            f"cannot listen on {settings.host}:{settings.port} ({error.strerror}): choose another with HOUSE_PORT"
        ) from error
    return listener
