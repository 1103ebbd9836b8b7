"""What an API key may ask for."""

from typing import Final

from fingerprint.domain.identification import Kind

SCOPES: Final = ("streams", "clips")


def scope_of(kind: Kind) -> str:
    """The scope that a key needs for a kind of target; a video is a recorded stream."""
    return "clips" if kind is Kind.CLIP else "streams"
