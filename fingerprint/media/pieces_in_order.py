"""Feeds a decoding with the pieces of a recording, which arrive in any order."""

from collections.abc import Awaitable, Callable

from fingerprint.domain.problems import UpstreamError
from fingerprint.media.ahead import DecodingAhead
from fingerprint.media.segment_fetch import container_or_mpegts


class PiecesInOrder:
    """Feeds a decoding with pieces that arrive in any order. Stops permanently at a failed piece."""

    def __init__(self, count: int, decoding: DecodingAhead | None) -> None:
        self._pieces: list[bytes | None] = [None] * count
        self._decoding = decoding
        self._next = 0
        self._container: str | None = None

    async def put(
        self, place: int, fetch: Callable[[], Awaitable[bytes | UpstreamError]]
    ) -> bytes | UpstreamError:
        """Fetch a piece, and pass on every piece whose turn has come."""
        result = await fetch()
        if isinstance(result, UpstreamError):
            self.close()
        else:
            self._pieces[place] = result
            self._pass_on()
        return result

    def complete(self, tail: bytes, container: str) -> DecodingAhead | None:
        """The decoding, fed with all pieces and the tail, for the caller to finish; None if there is none."""
        if self._next < len(self._pieces) or container != self._container:
            return None
        decoding, self._decoding = self._decoding, None
        if decoding is not None:
            decoding.feed(tail, container=container)
        return decoding

    def close(self) -> None:
        """Abandon the decoding, since no more pieces will come."""
        if self._decoding is not None:
            self._decoding.abandon()
            self._decoding = None

    def _pass_on(self) -> None:
        head, first = self._pieces[:2]
        if self._decoding is None or head is None or first is None:
            return
        if self._container is None:
            self._container = container_or_mpegts(first, has_init=bool(head))
        while self._next < len(self._pieces) and (content := self._pieces[self._next]) is not None:
            self._decoding.feed(content, container=self._container)
            self._next += 1
