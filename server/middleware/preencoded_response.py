"""Responses for thousands of waiting clients: encoded once, and sent with head and body in one write.

aiohttp collects, checks and serializes the headers of every response, which costs more than all other work for a
waiting client. Preencoded responses have the same headers in another order; a test compares the two.

This relies on private attributes of aiohttp's `Response`: pyproject.toml keeps aiohttp below the next version, and
tests/integration/test_preencoded_responses.py names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from time import time
from typing import Final

from aiohttp import ClientConnectionResetError, HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from multidict import CIMultiDict

from server import keys
from server.middleware.cross_origin import is_concerned
from server.middleware.request_id import HEADER
from server.middleware.security_headers import HEADERS, SERVER
from server.observability import request_id

_METHODS: Final = frozenset({"GET", "POST"})


@dataclass(frozen=True, slots=True)
class EncodedHead:
    """The status and headers that equal responses share; `start` is their bytes, up to the request id."""

    status: int
    headers: CIMultiDict[str]
    start: bytes

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], *, length: int) -> "EncodedHead":
        """Encode a head for a body of `length` bytes; adds the headers that every response has."""
        sent = {**headers, **HEADERS, "Server": SERVER}
        if status != HTTPStatus.NOT_MODIFIED:
            sent["Content-Length"] = str(length)
        lines = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        start = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{lines}{HEADER}: "
        return cls(status, CIMultiDict(headers), start.encode("ascii"))


@lru_cache(maxsize=2)
def _date(second: int) -> bytes:
    return formatdate(second, usegmt=True).encode("ascii")


class PreencodedResponse(web.Response):
    """A response with a preencoded head. aiohttp sends it as usual where that head does not fit.

    `on_response_prepare` signals are not sent for preencoded responses.
    """

    def __init__(self, head: EncodedHead, body: bytes) -> None:
        super().__init__(status=head.status, headers=head.headers, body=body)
        self._head = head
        self._encoded_body = body

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send head and body in one write. Raises ConnectionError when the client has disconnected."""
        if self._eof_sent or not self._can_send_preencoded(request):
            return await super().prepare(request)
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("Cannot write to closing transport")
        name = (request_id.get() or "").encode("ascii")
        transport.write(
            b"%b%b\r\nDate: %b\r\n\r\n%b" % (self._head.start, name, _date(int(time())), self._encoded_body)
        )
        # Backpressure: a client that pipelines requests without reading must not fill our memory.
        await request.writer.drain()
        self._keep_alive = True
        self._eof_sent = True
        return None

    def _can_send_preencoded(self, request: web.BaseRequest) -> bool:
        """Whether the response is unchanged since its head was encoded, and the request is a usual one."""
        context = request.get(keys.CONTEXT)
        return (
            request.version == HttpVersion11
            and request.keep_alive
            and request.method in _METHODS
            and self._keep_alive is not False
            and not self._cookies
            and self._status == self._head.status
            and self._body is self._encoded_body
            and len(self._headers) == len(self._head.headers)
            and (context is None or context.rate_limit is None)
            and not ("Origin" in request.headers and isinstance(request, web.Request) and is_concerned(request))
        )
