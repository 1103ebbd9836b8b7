"""Scopes of API keys: what a key may be used for."""

from typing import Final

from fingerprint.domain.identification import Kind

WATCH: Final = "watch"
"""Allows watching channels, which starts jobs without further requests; so it is never a default scope."""

DEFAULT_SCOPES: Final = ("streams", "clips")
SCOPES: Final = (*DEFAULT_SCOPES, WATCH)


def scope_of(kind: Kind) -> str:
    """The scope that an API key needs for a kind of target. Videos need `streams`: they are recorded streams."""
    return "clips" if kind is Kind.CLIP else "streams"
