"""What an API key may ask for."""

from typing import Final

from fingerprint.domain.identification import Kind

WATCH: Final = "watch"
"""May have channels watched, which goes on when nobody asks: a key has it only when it was given by name."""

DEFAULT_SCOPES: Final = ("streams", "clips")
SCOPES: Final = (*DEFAULT_SCOPES, WATCH)


def scope_of(kind: Kind) -> str:
    """The scope that a key needs for a kind of target; a video is a recorded stream."""
    return "clips" if kind is Kind.CLIP else "streams"
