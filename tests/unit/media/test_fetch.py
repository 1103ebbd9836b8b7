import socket

import aiohttp
import pytest
from aiohttp import client_exceptions, http_exceptions
from aiohttp.client_reqrep import ConnectionKey

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.hosts import AddressRefusedError
from fingerprint.media.network_errors import NETWORK_ERRORS, upstream_error

KEY = ConnectionKey(
    host="h",
    port=443,
    is_ssl=True,
    ssl=True,
    proxy=None,
    proxy_auth=None,
    proxy_headers_hash=None,
    server_hostname=None,
)


def exceptions_of(module: object) -> list[type[Exception]]:
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Exception)]
    # The one left out is for wrong types handed to a WebSocket, which we do not use.
    return [
        kind for kind in found if kind.__module__.startswith("aiohttp") and kind is not aiohttp.WSMessageTypeError
    ]


def made(kind: type[BaseException]) -> BaseException:
    """An exception without the objects that its constructor wants."""
    error = kind.__new__(kind)
    error.args = ("x",)
    return error


def test_there_are_exceptions_to_look_at() -> None:
    assert len(exceptions_of(client_exceptions)) > 15
    assert len(exceptions_of(http_exceptions)) > 5


@pytest.mark.parametrize("kind", [*exceptions_of(client_exceptions), *exceptions_of(http_exceptions)])
def test_every_exception_of_aiohttp_is_caught_and_mapped(kind: type[Exception]) -> None:
    assert issubclass(kind, NETWORK_ERRORS)
    error = upstream_error("playlist", made(kind), upstream="Twitch")
    assert error.step == "playlist"
    assert error.code in (ProblemCode.UPSTREAM_UNAVAILABLE, ProblemCode.TIMEOUT)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (TimeoutError(), ProblemCode.TIMEOUT, "in time"),
        (aiohttp.SocketTimeoutError("x"), ProblemCode.TIMEOUT, "in time"),
        (aiohttp.ConnectionTimeoutError("x"), ProblemCode.UPSTREAM_UNAVAILABLE, "cannot be reached"),
        (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), ProblemCode.UPSTREAM_UNAVAILABLE, "reached"),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")),
            ProblemCode.UPSTREAM_UNAVAILABLE,
            "reached",
        ),
        (
            aiohttp.ClientConnectorCertificateError(KEY, ValueError()),
            ProblemCode.UPSTREAM_UNAVAILABLE,
            "certificate",
        ),
        (aiohttp.ServerDisconnectedError(), ProblemCode.UPSTREAM_UNAVAILABLE, "broke off"),
        (ConnectionResetError(), ProblemCode.UPSTREAM_UNAVAILABLE, "broke off"),
        (aiohttp.ClientPayloadError("x"), ProblemCode.UPSTREAM_UNAVAILABLE, "broke off"),
        (aiohttp.InvalidURL("x"), ProblemCode.UPSTREAM_UNAVAILABLE, "cannot be read"),
    ],
)
def test_failures_of_the_network_are_told_apart(error: Exception, code: ProblemCode, words: str) -> None:
    found = upstream_error("segment", error, upstream="Twitch")
    assert (found.code, found.step) == (code, "segment")
    assert words in found.detail


def test_our_own_error_stays_as_it_is() -> None:
    error = UpstreamError("usher", "Something.")
    assert upstream_error("segment", error, upstream="Twitch") is error


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (AddressRefusedError("0.0.0.0", leads_here=True), "DNS filter"),
        (AddressRefusedError("10.0.0.1", leads_here=False), "private address"),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "knows no such name"),
    ],
)
def test_names_that_lead_nowhere_are_told_apart_and_have_no_time_to_retry(cause: OSError, words: str) -> None:
    kind = aiohttp.ClientConnectorDNSError if isinstance(cause, socket.gaierror) else aiohttp.ClientConnectorError
    error = upstream_error("segment", kind(KEY, cause), upstream="Twitch")
    assert words in error.detail
    assert error.retry_after_seconds is None
    passing = aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_AGAIN, "Try again"))
    assert upstream_error("segment", passing, upstream="Twitch").retry_after_seconds
