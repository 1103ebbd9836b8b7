"""An answer that is still coming: what has come of it can be used at any time."""

from typing import Final

MAX_PARTIAL_RESPONSES: Final = 64
"""How many such answers a fetcher follows at once; beyond that none begins."""


class PartialResponse:
    """The decoded body of a 200, as far as it has come; empty for anything else.

    It goes on coming when its caller has left, within its own limits, so that its connection can be used again.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.chunks: list[bytes] = []

    @property
    def so_far(self) -> bytes:
        """What has come."""
        return b"".join(self.chunks) if self.status == 200 else b""
