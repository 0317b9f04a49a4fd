"""Read a request's body, never more of it than allowed, and make houses of it."""

from __future__ import annotations

import contextlib
import re
import time
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from typing import Any

import jiter
from fastapi import Request
from starlette.requests import ClientDisconnect

from phase1_docker_api.errors import RefusalError, refuse
from phase1_docker_api.schemas import Fields, House
from phase1_docker_api.service.checking import checked_house, checked_houses

JSON_TYPE = re.compile(r'application/json\s*(;\s*charset="?utf-8"?\s*)?', re.IGNORECASE)
# The rest of a body that was refused unread is not worth waiting for.
CLOSE = {"Connection": "close"}


async def read_body(
    request: Request,
    limit: int,
    seconds: float,
    keep: Callable[[int], None] | None = None,
    *,
    any_type: bool = False,
) -> bytes:
    """Read the body in pieces; stop at `limit` bytes, or when it is not there after `seconds`.

    `keep` is told the size of each piece, and may refuse it. With `any_type` the content type is not looked at.

    Raises:
        RefusalError: 415 for another type or an encoding, 413 for more than `limit` bytes, 408 for too slow a client.
        ClientDisconnect: the client has gone.

    """
    _check_headers(request, limit, any_type)
    deadline = time.monotonic() + seconds
    pieces, size, more = [], 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        more = message.get("more_body", False)
        if size > limit:
            raise _too_large(limit)
        if keep:
            keep(len(pieces[-1]))
        # A look at the clock for each piece, because a timer for each request would cost 10 µs. The server sends
        # an empty piece each second to a client that has fallen silent.
        if more and time.monotonic() > deadline:
            raise _too_slow(seconds)
    return b"".join(pieces)


def _check_headers(request: Request, limit: int, any_type: bool) -> None:
    headers = request.headers
    if not any_type and not JSON_TYPE.fullmatch(headers.get("content-type", "")):
        raise refuse(
            415,
            "content-type",
            "the body must be JSON in UTF-8",
            "send Content-Type: application/json",
            CLOSE,
        )
    if any(encoding != "identity" for encoding in headers.getlist("content-encoding")):
        raise refuse(415, "content-encoding", "compressed bodies are not read", "send the body as it is", CLOSE)
    if int(headers.get("content-length", 0)) > limit:
        raise _too_large(limit)


def parse_house(body: bytes) -> House:
    """Make one house of a JSON object, or refuse with 422 and each faulty field."""
    return checked_house(parse_json(body))


def parse_houses(body: bytes) -> list[Fields]:
    """Give the fields of records or columns, in order; one faulty value refuses them all, by row and field."""
    return checked_houses(parse_json(body))


def parse_json(body: bytes) -> Any:
    """Parse JSON in UTF-8; a byte order mark before it is skipped, and NaN is left for the checks to name.

    Raises:
        RefusalError: 422, it is not JSON.

    """
    body = body.removeprefix(BOM_UTF8)
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        # Where NaN is the only fault, the checks refuse it by row and field.
        with contextlib.suppress(ValueError):
            return jiter.from_json(body, allow_inf_nan=True, catch_duplicate_keys=True)
        raise _not_json(body, error) from error


def _not_json(body: bytes, error: ValueError) -> RefusalError:
    hint = 'send one JSON object in UTF-8, such as {"land_area_sqft": 5000, "bedrooms": 3}'
    if body.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        hint = "it is UTF-16: send UTF-8"
    return refuse(422, "body", f"not JSON: {error}", hint)


def _too_large(limit: int) -> RefusalError:
    return refuse(413, "body", f"larger than {limit} bytes", "send fewer houses at a time", CLOSE)


def _too_slow(seconds: float) -> RefusalError:
    return refuse(408, "body", f"not complete after {seconds:g} s", "send it in one go, or fewer houses", CLOSE)
