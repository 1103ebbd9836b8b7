"""Identifications as bytes, each encoded once however many thousands are told of it."""

from typing import Final

import msgspec

from fingerprint.domain.identification import Identification
from fingerprint.wire import to_json

MAX_CACHED: Final = 256


class Encoder:
    """Encodes to compact JSON and remembers the latest values, by identity: a value never changes."""

    def __init__(self) -> None:
        # The oldest first. The value is held with its bytes, so that its id is not given to another meanwhile.
        self._encoded: dict[tuple[int, bool], tuple[Identification, bytes]] = {}

    def encode(self, identification: Identification, *, shared: bool = False) -> bytes:
        """The wire form as UTF-8."""
        key = (id(identification), shared)
        known = self._encoded.get(key)
        if known is not None:
            return known[1]
        encoded = msgspec.json.encode(to_json(identification, shared=shared))
        if len(self._encoded) >= MAX_CACHED:
            del self._encoded[next(iter(self._encoded))]
        self._encoded[key] = (identification, encoded)
        return encoded
