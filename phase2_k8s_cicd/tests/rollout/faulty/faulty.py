"""A version of the service that has one fault, named by FAULT: what the tests roll out to see it stopped."""

from __future__ import annotations

import asyncio
import json
import os

from phase1_docker_api.service.logs import configure_logging
from phase1_docker_api.service.server import run
from phase1_docker_api.settings import load_settings
from phase2_k8s_cicd.service.app import create_app
from phase2_k8s_cicd.settings import Settings
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Fault:
    """ASGI middleware around everything else."""

    def __init__(self, app: ASGIApp, fault: str) -> None:
        self._app, self._fault = app, fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path")
        if path == "/exit":
            os._exit(3)
        if path == "/hog":
            self._hoard = bytearray(os.urandom(1024)) * 600_000  # 600 MB, touched, where 384 are allowed
        if path != "/predict" or self._fault not in ("errors", "slow", "wrong"):
            await self._app(scope, receive, send)
            return
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        if self._fault == "slow":
            await asyncio.sleep(0.03)  # callers see some 3 ms without it
        if self._fault == "errors":
            messages[0]["status"] = 500
        if self._fault == "wrong":
            messages = [messages[0], {"type": "http.response.body", "body": dearer(messages)}]
            headers = [header for header in messages[0]["headers"] if header[0] != b"content-length"]
            messages[0]["headers"] = [*headers, (b"content-length", str(len(messages[1]["body"])).encode())]
        for message in messages:
            await send(message)


def dearer(messages: list[Message]) -> bytes:
    answer = json.loads(b"".join(message.get("body", b"") for message in messages))
    answer["price_usd"] *= 1.3
    answer["interval_usd"]["high"] *= 1.3
    return json.dumps(answer).encode()


if __name__ == "__main__":
    fault = os.environ["FAULT"]
    if fault == "crashes":
        raise SystemExit("no such table: houses")
    settings = load_settings(Settings)
    app = create_app(settings)
    app.add_middleware(Fault, fault=fault)
    app.state.service.ready = fault != "unready"
    configure_logging(settings.log_level)
    run(app, settings)
