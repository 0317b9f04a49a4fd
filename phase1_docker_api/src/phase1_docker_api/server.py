"""Run an app so that it starts warm and stops without losing what it was asked."""

from __future__ import annotations

import gc
import signal
import socket
import threading
from types import FrameType

import uvicorn
from fastapi import FastAPI

from phase1_docker_api.errors import ServiceError
from phase1_docker_api.logs import get_logger
from phase1_docker_api.settings import Settings


class DrainingServer(uvicorn.Server):
    """Uvicorn that, at SIGTERM, first says it is not ready, answers on for a while, and only then closes."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_seconds: float) -> None:
        super().__init__(config)
        self._service, self._drain_seconds = app.state.service, drain_seconds

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; a second signal, or Ctrl-C, does not wait."""
        draining = not self._service.ready
        self._service.ready = False
        if draining or sig == signal.SIGINT or not self._drain_seconds:
            super().handle_exit(sig, frame)
            return
        get_logger().info("drain_started", seconds=self._drain_seconds)
        timer = threading.Timer(self._drain_seconds, super().handle_exit, (sig, frame))
        timer.daemon = True
        timer.start()


def run(app: FastAPI, settings: Settings) -> None:
    """Serve until SIGTERM or Ctrl-C; return once every request in flight is answered.

    Raises:
        ServiceError: the port is taken, or the address is not this machine's.

    """
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.grace_seconds,
    )
    # What was loaded lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    # Uvicorn raises the signal again after it has closed; that would turn a clean stop into a failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    with _listener(settings) as listener:
        DrainingServer(config, app, settings.drain_seconds).run([listener])


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
