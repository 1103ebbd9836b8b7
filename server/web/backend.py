"""What the pages need of the rest of the server, as one narrow seam."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from fingerprint.domain.identification import Identification, IdentificationId
from fingerprint.domain.targets import TwitchTarget
from fingerprint.settings import Secret
from server.access.rules.policy import Refusal
from server.access.rules.website import WebsiteSettings
from server.channels.song_tokens import SongToken
from server.channels.watch import Watch
from server.identifications.set_list import Play


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who looks at the start page.

    `refusal` says why they may ask for nothing; `partly` why not for one of streams and clips.
    """

    website: WebsiteSettings
    login: str | None = None
    refusal: Refusal | None = None
    partly: Refusal | None = None
    broadcasters: Sequence[str] = ()
    reason: str = ""
    """Why they may, where not everyone may: the rest of a sentence."""


class Backend(Protocol):
    """The server as the pages see it. Everything raises TwitchAudioError."""

    async def ask(self, target: TwitchTarget) -> Identification:
        """Start a job or join the one that runs; a stored answer comes at once."""
        ...

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        """An identification in its current state, or None."""
        ...

    async def visitor(self) -> Visitor:
        """Who looks, and what they may."""
        ...

    async def redeem(self, code: str) -> None:
        """Redeem an access code for the caller."""
        ...

    async def unavailable(self) -> str | None:
        """None when something can recognize music; else what is missing."""
        ...

    async def plays(self, login: str, *, since: datetime | None, before: datetime | None) -> Sequence[Play]:
        """A channel's plays, newest first: those heard within a time, or without one the newest."""
        ...

    async def watch(self, login: str) -> Watch | None:
        """A channel's watch, while it runs."""
        ...

    async def report(self, identification_id: str, reason: str, note: str) -> None:
        """Say that an answer is wrong."""
        ...

    async def song_tokens(self, login: str) -> Sequence[SongToken] | None:
        """The channel's valid tokens for chat bots, if the caller is its owner."""
        ...

    async def make_song_token(self, login: str, note: str) -> Secret:
        """Make a token; its text is given this once."""
        ...

    async def revoke_song_token(self, login: str, token_id: str) -> None:
        """Make a token invalid for good."""
        ...

    def openapi(self) -> Mapping[str, Any]:
        """The OpenAPI document of the API."""
        ...
