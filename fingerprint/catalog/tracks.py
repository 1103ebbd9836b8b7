"""A track of the catalog as a value, and its stored form."""

import json
from dataclasses import asdict, dataclass
from typing import Any, cast

from msgspec import convert

from fingerprint.domain.identification import METADATA_FIELDS, SongMetadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Track(SongMetadata):
    """A track and the file that it was indexed from.

    `id`: the first 12 hex digits of the file's sha256. `path` as it was given when it was indexed, made
    absolute; `size` in bytes and `modified_ns` tell whether that file is still the same.
    """

    id: str
    title: str
    path: str
    size: int
    modified_ns: int
    duration_seconds: float

    @property
    def text(self) -> str:
        """The text that `catalog list` searches: artists, title, album, path."""
        return " ".join(filter(None, (*self.artists, self.title, self.album, self.label, self.isrc, self.path)))

    def to_json(self) -> dict[str, Any]:
        """The form that `catalog list --json` prints."""
        return {
            "id": self.id,
            "title": self.title,
            **self.metadata,
            "artists": list(self.artists),
            "ids": {name: value for name, value in asdict(self.ids).items() if value},
            "duration": round(self.duration_seconds, 3),
            "path": self.path,
        }

    def encode(self) -> bytes:
        """The form that an IndexSegment stores: everything but the id."""
        body = self.to_json() | {
            "duration": self.duration_seconds,
            "size": self.size,
            "modified_ns": self.modified_ns,
        }
        del body["id"]
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")

    @staticmethod
    def decode(track_id: str, text: bytes) -> "Track":
        """The inverse of `encode`. Raises ValueError or KeyError for another form."""
        body = cast("dict[str, Any]", json.loads(text.decode("utf-8", "surrogatepass")))
        # Fields that tracks indexed earlier lack get their defaults.
        known = {name: body[name] for name in METADATA_FIELDS if body.get(name) is not None}
        return Track(
            id=track_id,
            title=body["title"],
            **convert(known, SongMetadata).metadata,
            duration_seconds=body["duration"],
            path=body["path"],
            size=body["size"],
            modified_ns=body["modified_ns"],
        )
