"""All tracks of a catalog in memory while it is brought up to date: which file belongs to which recording."""

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fingerprint.catalog.tracks import ID_DIGITS, Source, TrackEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What became of a file whose recording is known.

    `moved`: it takes the place of a file that is gone. `copy`: it is a further file of its track. `updated`: its
    tags or sidecars say something new. `also_changed`: ids of other tracks that had the file before.
    """

    moved: bool
    copy: bool
    updated: bool
    also_changed: frozenset[str]


class Library:
    """Finds tracks by a file's path, by its content and by its encoded sound, and moves files between tracks."""

    def __init__(self, entries: Iterable[TrackEntry]) -> None:
        self._entries = {entry.id: entry for entry in entries}
        self._by_key: dict[str, str] = {}
        self._songs: dict[str, set[str]] = {}
        """The keys of the songs of files that hold several, by path: few files do."""
        self._by_content: dict[str, str] = {}
        self._by_sound: dict[str, str] = {}
        self._claimed: set[str] = set()
        self._orphans: set[str] = set()
        self.poorly_described = False
        """Whether files were indexed by an earlier version, so that their own tags are not known."""
        for entry in self._entries.values():
            for source in entry.sources:
                self._note(entry.id, source)

    def _note(self, track_id: str, source: Source) -> None:
        if source.owner:
            return
        if source.missing_since is None or source.key not in self._by_key:
            self._by_key[source.key] = track_id
            if source.part:
                self._songs.setdefault(source.path, set()).add(source.key)
        if source.content:
            self._by_content[source.content] = track_id
        if source.sound:
            self._by_sound[source.sound] = track_id
        if not source.changed_ns:
            self.poorly_described = True

    def entry(self, track_id: str) -> TrackEntry | None:
        """What is known of a track."""
        return self._entries.get(track_id)

    def source(self, key: str) -> tuple[str, Source] | None:
        """The file, or the song of one, with a key (a path, for a file that is one song), and its track's id."""
        track_id = self._by_key.get(key)
        if track_id is None:
            return None
        return next(
            (
                (track_id, source)
                for source in self._entries[track_id].sources
                if source.key == key and not source.owner
            ),
            None,
        )

    def sources_at(self, path: str) -> list[tuple[str, Source]]:
        """The songs of the file with a path, each with the id of its track."""
        keys = (path, *sorted(self._songs.get(path, ())))
        return [known for key in keys if (known := self.source(key)) is not None]

    def under(self, roots: Sequence[str]) -> list[Source]:
        """The files that are in the catalog, not marked as missing, and below some folders."""
        prefixes = tuple(root.rstrip("/") + "/" for root in roots)
        return [
            known[1]
            for key in self._by_key
            if key.startswith(prefixes) and (known := self.source(key)) and known[1].missing_since is None
        ]

    def find(self, source: Source) -> str | None:
        """The track that a file's content or encoded sound belongs to."""
        return (
            self._by_content.get(source.content)
            # Earlier versions kept less of the digest.
            or self._by_content.get(source.content[:ID_DIGITS])
            or (self._by_sound.get(source.sound) if source.sound else None)
        )

    def alike(self, track_id: str, source: Source) -> Source | None:
        """A file of a track that has the same content."""
        for other in self._entries[track_id].sources:
            if other.content and source.content.startswith(other.content):
                return other
        return None

    def content_is_known(self, content: str) -> bool:
        """See `Claims`."""
        if content in self._by_content or content[:ID_DIGITS] in self._by_content:
            return True
        return self._claim(f"content {content}")

    def sound_is_known(self, sound: str) -> bool:
        """See `Claims`."""
        return sound in self._by_sound or self._claim(f"sound {sound}")

    def _claim(self, key: str) -> bool:
        known = key in self._claimed
        self._claimed.add(key)
        return known

    def add(self, track_id: str, source: Source, duration_seconds: float) -> None:
        """Add a new track with its first file."""
        self._displace(source.key, track_id)
        self._entries[track_id] = TrackEntry(id=track_id, duration_seconds=duration_seconds, sources=(source,))
        self._note(track_id, source)

    def place(self, track_id: str, source: Source) -> Placed:
        """Note that a file has a track's recording."""
        also = self._displace(source.key, track_id)
        entry = self._entries[track_id]
        before = next((other for other in entry.sources if not other.owner and other.key == source.key), None)
        imported = [other for other in entry.sources if other.owner]
        own = [other for other in entry.sources if not other.owner and self._by_key.get(other.key) == track_id]
        gone = [other for other in own if other.key != source.key and not os.path.lexists(other.path)]
        kept = [other for other in own if other not in gone]
        old = before or (gone[0] if gone else None)
        if before in kept:
            kept[kept.index(before)] = source
        else:
            kept.append(source)
        for other in gone:
            self._forget_key(other.key)
        self._entries[track_id] = entry.with_sources([*kept, *imported])
        self._orphans.discard(track_id)
        self._by_key[source.key] = track_id
        self._note(track_id, source)
        return Placed(
            moved=before is None and bool(gone),
            copy=before is None and not gone and len(kept) > 1,
            updated=old is not None
            and (old.tags, old.sidecar, old.cover) != (source.tags, source.sidecar, source.cover),
            also_changed=also,
        )

    def update(self, track_id: str, source: Source) -> None:
        """Replace what is known of one of a track's files."""
        entry = self._entries[track_id]
        self._entries[track_id] = entry.with_sources(
            [
                source if (other.key, other.owner) == (source.key, source.owner) else other
                for other in entry.sources
            ]
        )

    def forget(self, key: str) -> frozenset[str]:
        """Take a file out of its track; returns the track's id if the track remains, with other files."""
        return self._displace(key, None)

    def orphans(self) -> frozenset[str]:
        """The tracks whose files all have another recording now."""
        return frozenset(self._orphans)

    def _forget_key(self, key: str) -> None:
        del self._by_key[key]
        self._songs.get(key.partition("\0")[0], set()).discard(key)

    def _displace(self, key: str, track_id: str | None) -> frozenset[str]:
        """Take a file out of the track that had it, unless it is this one; returns the ids of changed tracks."""
        before = self._by_key.get(key)
        if before is None or before == track_id:
            return frozenset()
        self._forget_key(key)
        entry = self._entries[before]
        left = [source for source in entry.sources if source.key != key or source.owner]
        if not left:
            # The track is removed at the end, unless another file turns out to have its recording.
            self._orphans.add(before)
            left = [replace(source, missing_since=source.missing_since or time.time()) for source in entry.sources]
        self._entries[before] = entry.with_sources(left)
        return frozenset({before})
