"""A track of the catalog as a value, and its stored form."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from fingerprint.domain.identification import ExternalIds


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
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
    artists: tuple[str, ...] = ()
    album: str | None = None
    label: str | None = None
    isrc: str | None = None
    release_date: str | None = None
    ids: ExternalIds = field(default_factory=ExternalIds)

    @property
    def text(self) -> str:
        """Everything that a search looks at, for people: artists, title, album, path."""
        return " ".join(filter(None, (*self.artists, self.title, self.album, self.label, self.isrc, self.path)))

    def to_json(self) -> dict[str, Any]:
        """The form that `catalog list --json` prints."""
        return {
            "id": self.id,
            "title": self.title,
            "artists": list(self.artists),
            "album": self.album,
            "label": self.label,
            "isrc": self.isrc,
            "release_date": self.release_date,
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
        return Track(
            id=track_id,
            title=body["title"],
            artists=tuple(body["artists"]),
            album=body["album"],
            label=body["label"],
            isrc=body["isrc"],
            # Tracks that were indexed before these existed have neither.
            release_date=body.get("release_date"),
            ids=_ids(cast("dict[str, Any]", body.get("ids") or {})),
            duration_seconds=body["duration"],
            path=body["path"],
            size=body["size"],
            modified_ns=body["modified_ns"],
        )


def _ids(body: dict[str, Any]) -> ExternalIds:
    lists = {name: tuple(body[name]) for name in ("spotify_artists", "deezer_artists") if name in body}
    values: dict[str, Any] = body | lists
    return ExternalIds(**values)
