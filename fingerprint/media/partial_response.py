"""A response that is still being received, whose first part can be used at any time."""

from typing import Final

MAX_PARTIAL_RESPONSES: Final = 64
"""How many such responses a fetcher receives at once; beyond that it starts no more."""


class PartialResponse:
    """The part of a 200 response's decoded body that has been received; empty for any other status.

    It goes on being received when its caller has left, within limits, so that its connection can be reused.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.chunks: list[bytes] = []

    @property
    def so_far(self) -> bytes:
        """The bytes received so far."""
        return b"".join(self.chunks) if self.status == 200 else b""
