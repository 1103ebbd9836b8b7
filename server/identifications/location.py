"""Where an identification is found over HTTP."""

from typing import Final

IDENTIFICATIONS: Final = "/api/v1/identifications"


def location_of(identification_id: str) -> str:
    """The path of an identification."""
    return f"{IDENTIFICATIONS}/{identification_id}"
