"""The path of an identification in the HTTP API."""

from typing import Final

IDENTIFICATIONS: Final = "/api/v1/identifications"


def location_of(identification_id: str) -> str:
    """The path of an identification, without the server's origin."""
    return f"{IDENTIFICATIONS}/{identification_id}"
