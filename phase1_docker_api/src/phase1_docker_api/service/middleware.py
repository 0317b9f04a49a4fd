"""Give each request an id, answer what went wrong inside in the common form, and log one line a request."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from phase1_docker_api.schemas import Problem, Refused
from phase1_docker_api.service.logs import get_logger
from phase1_docker_api.service.watchers import WatcherGroup

SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# What machines ask every few seconds.
QUIET_PATHS = {"/healthz", "/readyz", "/metrics"}


class RequestLog:
    """ASGI middleware; a route may add fields to the line through `scope["log"]`."""

    def __init__(
        self, app: ASGIApp, watchers: WatcherGroup | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        self._app, self._logger, self._watchers = app, get_logger(), watchers or WatcherGroup()
        self._headers = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its id in `scope["request_id"]` and in the answer's headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = scope["request_id"] = _request_id(scope)
        # Each request runs in a context of its own, so the id is in every line that is logged on its way.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        line = scope["log"] = {"event": "request_answered"}
        status = 0
        self._watchers.request_began()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] += [(b"x-request-id", request_id.encode()), *self._headers]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except Exception:
            self._logger.exception("request_failed", path=scope["path"])
            if not status:
                await _send_failure(request_id, send_with_id)
        seconds = time.perf_counter() - started
        self._watchers.request_ended(scope, status, seconds)
        self._log(scope, line, status, seconds)

    def _log(self, scope: Scope, line: MutableMapping[str, Any], status: int, seconds: float) -> None:
        log = self._logger.debug if scope["path"] in QUIET_PATHS else self._logger.info
        log(
            line.pop("event"),
            method=scope["method"],
            path=scope["path"],
            status=status,
            duration_ms=round(seconds * 1000, 2),
            **line,
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and SANE_ID.fullmatch(value):
            return str(value.decode())
    return os.urandom(16).hex()


async def _send_failure(request_id: str, send: Send) -> None:
    problem = Problem(
        field="service",
        problem="something went wrong inside",
        hint="try again, and report the request_id if it stays",
    )
    body = Refused(problems=[problem], request_id=request_id).model_dump_json().encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
