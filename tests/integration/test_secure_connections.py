"""Connections over TLS that fail: each way says why, and when to ask again only where that may help."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from yarl import URL

from fingerprint.domain.problems import ProblemCode, UpstreamError
from fingerprint.media.fetch import Fetcher
from fingerprint.media.hosts import AllowList

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

AUTHORITY = trustme.CA()
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ALERT, HANDSHAKE = 21, 22


def certificate(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - as elsewhere
    return context


def says(content: bytes) -> Answer:
    """Whoever connects is told this, whatever it sends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(content)
        await writer.drain()
        writer.close()

    return answer


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.transport.abort()


def record(kind: int, content: bytes) -> bytes:
    """A record of TLS 1.0 (RFC 2246, 6.2.1)."""
    return bytes([kind, 3, 1]) + len(content).to_bytes(2, "big") + content


def alert(number: int) -> Answer:
    """A fatal alert (RFC 8446, 6)."""
    return says(record(ALERT, bytes([2, number])))


# A ServerHello that chooses TLS 1.0: version, 32 random bytes, no session, a cipher of 1999, no compression.
OLD_HELLO = b"\2\0\0\x26\3\1" + bytes(32) + b"\0\0\x2f\0"


@asynccontextmanager
async def server(context: ssl.SSLContext | None, answer: Answer) -> AsyncGenerator[URL]:
    running = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with running:
        yield URL(f"https://localhost:{running.sockets[0].getsockname()[1]}/")


@pytest.fixture
def trust(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process trusts the authority."""
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(file)
    context = ssl.create_default_context(cafile=str(file))
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", context)


async def failure(context: ssl.SSLContext | None, answer: Answer) -> UpstreamError:
    async with server(context, answer) as url, Fetcher(AllowList.of_origins([url]), upstream="Twitch") as fetcher:
        with pytest.raises(UpstreamError) as caught:
            await fetcher.get(url, step="usher", max_bytes=100, total_seconds=5.0)
    return caught.value


@pytest.mark.parametrize(
    ("context", "answer", "words"),
    [
        (certificate(AUTHORITY.issue_cert("localhost", not_after=NOW - DAY)), resets, "it has expired"),
        (certificate(AUTHORITY.issue_cert("localhost", not_before=NOW + DAY)), resets, "not valid yet"),
        (certificate(AUTHORITY.issue_cert("twitch.example")), resets, "it is for another name"),
        (
            certificate(trustme.CA().issue_cert("localhost")),
            resets,
            "signed by an authority that this server does not trust",
        ),
        (None, alert(70), "only old versions of TLS"),
        (None, says(record(HANDSHAKE, OLD_HELLO)), "only old versions of TLS"),
        (None, alert(40), "cannot agree on an encryption"),
        (None, says(b"HTTP/1.1 302 Found\r\nLocation: http://sign-in.example/\r\n\r\n"), "speaks no TLS"),
    ],
    ids=["expired", "not-yet", "other-name", "unknown-issuer", "old-alert", "old-hello", "no-cipher", "no-tls"],
)
@pytest.mark.usefixtures("trust")
async def test_what_stays_unsafe_says_why_and_not_when_to_ask_again(
    context: ssl.SSLContext | None, answer: Answer, words: str
) -> None:
    error = await failure(context, answer)
    assert error.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert words in error.detail
    assert error.detail.startswith("Twitch's usher service cannot be reached safely: ")
    assert error.retry_after_seconds is None


@pytest.mark.parametrize("answer", [resets, says(b""), alert(80)], ids=["reset", "closed", "internal-error"])
async def test_a_handshake_that_breaks_off_may_be_asked_for_again(answer: Answer) -> None:
    error = await failure(None, answer)
    assert error.code is ProblemCode.UPSTREAM_UNAVAILABLE
    assert "breaks off while a safe connection is made" in error.detail
    assert error.retry_after_seconds
