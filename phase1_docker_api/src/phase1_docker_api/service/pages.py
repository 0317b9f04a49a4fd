"""Serve the pages at `/` and `/docs`: files, read once, under headers that let nothing in from elsewhere."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import PurePath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATHS = {"index.html": "/", "docs.html": "/docs"}
# A package carries them; of its own code nothing is used.
SWAGGER_UI = ("swagger-ui.css", "swagger-ui-bundle.js")
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Kept, but asked for each time with its ETag: after a rollout no new page meets an old script.
    "Cache-Control": "no-cache",
}


def page_routes() -> list[Route]:
    """Read the files of both pages and give a route for each: `/`, `/docs` and what they load from `/page/`."""
    ours = [
        file for file in (files("phase1_docker_api.service") / "page").iterdir() if _suffix(file.name) in MEDIA_TYPES
    ]
    swagger_ui = [files("fastapi_offline") / "static" / name for name in SWAGGER_UI]
    return [_route(file.name, file.read_bytes()) for file in (*ours, *swagger_ui)]


def _route(name: str, content: bytes) -> Route:
    headers = HEADERS | {"ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}

    async def answer(request: Request) -> Response:
        if headers["ETag"] in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type=MEDIA_TYPES[_suffix(name)])

    return Route(PATHS.get(name, f"/page/{name}"), answer, methods=["GET"], include_in_schema=False)


def _suffix(name: str) -> str:
    return PurePath(name).suffix
