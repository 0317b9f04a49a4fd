"""HTTP/1.1 that ignores offers to change the protocol, so that the request that carries one keeps its body."""

from __future__ import annotations

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OfferIgnoringParser(httptools.HttpRequestParser):
    """Parses a request that offers an upgrade (`h2c`, `websocket`) as if it did not.

    curl --http2 and Java's HttpClient offer one with each first request. A server may ignore the offer
    (RFC 9110, section 7.8), but httptools stops reading after the head and takes the body for a next request.
    """

    def __init__(self, protocol: HttpProtocol) -> None:
        self._protocol = protocol
        self._start()

    def _start(self) -> None:
        super().__init__(self._protocol)
        # As uvicorn sets it: what comes after a request that ends the connection is ignored, and no error.
        self.set_dangerous_leniencies(lenient_data_after_close=True)

    def feed_data(self, data: Any) -> None:
        """Parse a piece; where a head with an offer ends, parse that head again without the offer.

        Raises:
            HttpParserError: it is not HTTP.

        """
        while data:  # not by recursion: one piece can hold hundreds of such requests
            try:
                super().feed_data(data)
            except httptools.HttpParserUpgrade as stop:
                head = self._protocol.head_without_offer()
                self._start()  # a parser that has seen `Connection: close` would read no further
                super().feed_data(head)
                data = memoryview(data)[stop.args[0] :]
            else:
                return


class HttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol on a parser that ignores offers to upgrade."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.parser = OfferIgnoringParser(self)

    def on_headers_complete(self) -> None:
        """Begin to answer, unless the head has an offer: then the parser reads it once more."""
        if not self._has_offer():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the body; after a head with an offer it has not begun."""
        if not self._has_offer():
            super().on_message_complete()

    def head_without_offer(self) -> bytes:
        """Write the head that was parsed last, without its Upgrade headers."""
        first = b"%s %s HTTP/%s\r\n" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())
        kept = (b"%s: %s\r\n" % header for header in self.headers if header[0] != b"upgrade")
        return b"".join([first, *kept, b"\r\n"])

    def _has_offer(self) -> bool:
        # CONNECT changes the protocol by itself, without an offer; it is refused like other unknown targets.
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
