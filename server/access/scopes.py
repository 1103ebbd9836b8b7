"""Scopes of API keys: what a key may be used for."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fingerprint.domain.identification import Kind

WATCH: Final = "watch"
"""Allows watching channels, which starts jobs without further requests; so it is never a default scope."""

FILES: Final = "files"
"""Allows uploading recordings, which cost more than names on Twitch; so it is never a default scope."""

WEBHOOKS: Final = "webhooks"
"""Allows webhooks, which have this server send requests; so it is never a default scope."""

DEFAULT_SCOPES: Final = ("streams", "clips")
SCOPES: Final = (*DEFAULT_SCOPES, FILES, WATCH, WEBHOOKS)


def scope_of(kind: "Kind") -> str:
    """The scope that an API key needs for a kind of target. Videos need `streams`: they are recorded streams."""
    return {"clip": "clips", "file": FILES}.get(kind, "streams")
