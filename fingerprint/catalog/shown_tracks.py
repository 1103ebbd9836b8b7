"""Tracks as lists show them, read from what is stored without all else that a catalog knows: lists are long."""

from dataclasses import asdict
from typing import Any, Final

import msgspec

from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tracks import Track
from fingerprint.domain.identification import ExternalIds, SongMetadata

_NO_IDS: Final = ExternalIds()


class ShownTrack(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a list shows of a track; see `Track`. `song`: what is known of it besides its title."""

    id: str
    title: str
    song: SongMetadata
    duration_seconds: float
    path: str
    cover: str | None

    @property
    def artists(self) -> tuple[str, ...]:
        """Who plays it."""
        return self.song.artists

    @property
    def album(self) -> str | None:
        """The album."""
        return self.song.album

    @staticmethod
    def of(track: Track) -> "ShownTrack":
        """What a list shows of a track."""
        return ShownTrack(
            id=track.id,
            title=track.title,
            song=track,
            duration_seconds=track.duration_seconds,
            path=track.path,
            cover=track.cover,
        )

    def to_json(self) -> dict[str, Any]:
        """The form of `Track.to_json`."""
        ids = self.song.ids
        return {
            "id": self.id,
            "title": self.title,
            **self.song.metadata,
            "ids": {} if ids == _NO_IDS else {name: value for name, value in asdict(ids).items() if value},
            "duration": round(self.duration_seconds, 3),
            "path": self.path,
            "cover": self.cover,
        }


class _Source(msgspec.Struct, gc=False):
    path: str
    tags: Tags
    sidecar: msgspec.Raw | None = None
    cover: str = ""


class _Stored(msgspec.Struct, gc=False):
    duration: float
    sources: list[_Source]


_stored: Final = msgspec.json.Decoder(_Stored)


def shown_track(track_id: bytes, text: bytes) -> ShownTrack | None:
    """The usual track: one file, which has a title and no sidecar. None for any other, which takes `TrackEntry`.

    Hot path: `catalog list` prints 100,000.
    """
    try:
        stored = _stored.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    source = stored.sources[0] if len(stored.sources) == 1 else None
    if source is None or source.sidecar is not None or not source.tags.title:
        return None
    return ShownTrack(
        id=track_id.decode(),
        title=source.tags.title,
        song=source.tags,
        duration_seconds=stored.duration,
        path=source.path,
        cover=source.cover or None,
    )
