"""Encodes identifications to JSON, each only once however many clients receive it."""

from typing import Final

import msgspec

from fingerprint.domain.identification import Identification
from fingerprint.wire import to_json
from server.entity_tags import entity_tag

MAX_CACHED: Final = 256


class Encoder:
    """Encodes to compact JSON and caches the newest values by identity, since a value never changes."""

    def __init__(self) -> None:
        # Oldest first. Each value is kept with its bytes, so that no other object can get its id.
        self._encoded: dict[tuple[int, bool, bool], tuple[Identification, bytes]] = {}
        self._tags: dict[tuple[int, bool], tuple[Identification, str]] = {}

    def tag(self, identification: Identification, *, paths: bool = False) -> str:
        """The entity tag of a finished identification, as `GET` gives it to all clients alike."""
        key = (id(identification), paths)
        known = self._tags.get(key)
        if known is not None:
            return known[1]
        tag = entity_tag(self.encode(identification, paths=paths))
        if len(self._tags) >= MAX_CACHED:
            del self._tags[next(iter(self._tags))]
        self._tags[key] = (identification, tag)
        return tag

    def encode(self, identification: Identification, *, shared: bool = False, paths: bool = False) -> bytes:
        """The identification's JSON as UTF-8. `shared` says that the request joined another one's job.

        `paths`: with the paths of files in the catalog, which are for operators alone.
        """
        key = (id(identification), shared, paths)
        known = self._encoded.get(key)
        if known is not None:
            return known[1]
        encoded = msgspec.json.encode(to_json(identification, shared=shared, paths=paths))
        if len(self._encoded) >= MAX_CACHED:
            del self._encoded[next(iter(self._encoded))]
        self._encoded[key] = (identification, encoded)
        return encoded
