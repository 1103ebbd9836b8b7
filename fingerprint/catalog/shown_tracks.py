"""Tracks as lists show them, read from what is stored without all else that a catalog knows: lists are long."""

from typing import Any, Final

import msgspec

from fingerprint.catalog.tracks import Track


class ShownTrack(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a list shows of a track; see `Track`."""

    id: str
    title: str
    artists: tuple[str, ...]
    album: str | None
    label: str | None
    isrc: str | None
    release_date: str | None
    ids: dict[str, Any]
    duration_seconds: float
    path: str
    cover: str | None

    @staticmethod
    def of(track: Track) -> "ShownTrack":
        """What a list shows of a track."""
        body = track.to_json()
        del body["duration"]
        return ShownTrack(duration_seconds=track.duration_seconds, **body)

    def to_json(self) -> dict[str, Any]:
        """The form of `Track.to_json`."""
        return {
            "id": self.id,
            "title": self.title,
            "artists": self.artists,
            "album": self.album,
            "label": self.label,
            "isrc": self.isrc,
            "release_date": self.release_date,
            "ids": self.ids,
            "duration": round(self.duration_seconds, 3),
            "path": self.path,
            "cover": self.cover,
        }


class _Tags(msgspec.Struct, gc=False):
    title: str | None = None
    artists: tuple[str, ...] = ()
    album: str | None = None
    label: str | None = None
    isrc: str | None = None
    release_date: str | None = None
    ids: dict[str, Any] = {}


class _Source(msgspec.Struct, gc=False):
    path: str
    tags: _Tags
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
        [source] = stored.sources
    except (msgspec.MsgspecError, ValueError):
        return None
    tags = source.tags
    if source.sidecar is not None or not tags.title:
        return None
    return ShownTrack(
        id=track_id.decode(),
        title=tags.title,
        artists=tags.artists,
        album=tags.album,
        label=tags.label,
        isrc=tags.isrc,
        release_date=tags.release_date,
        ids=tags.ids,
        duration_seconds=stored.duration,
        path=source.path,
        cover=source.cover or None,
    )
