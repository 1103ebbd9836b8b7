"""What the pages need of the rest of the server, as one narrow seam."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from fingerprint.domain.identification import Identification, IdentificationId
from fingerprint.domain.targets import TwitchTarget
from server.identifications.set_list import Play


class Backend(Protocol):
    """The server as the pages see it."""

    async def ask(self, target: TwitchTarget) -> Identification:
        """Start a job or join the one that runs; a stored answer comes at once. Raises TwitchAudioError."""
        ...

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        """An identification in its current state, or None."""
        ...

    async def unavailable(self) -> str | None:
        """None when something can recognize music; else what is missing."""
        ...

    async def plays(self, login: str) -> Sequence[Play]:
        """A channel's newest plays, newest first. Raises TwitchAudioError."""
        ...

    def openapi(self) -> Mapping[str, Any]:
        """The OpenAPI document of the API."""
        ...
