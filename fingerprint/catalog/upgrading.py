"""What becomes of tracks that an earlier version indexed."""

from dataclasses import replace

import numpy as np

from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.segment_layout import (
    FORMAT_VERSION,
)
from fingerprint.catalog.tracks import TrackEntry


def is_earlier(snapshot: Snapshot) -> bool:
    """Whether an earlier version wrote a part of a catalog."""
    return any(live.segment.version < FORMAT_VERSION for live in snapshot.segments)


def upgraded(snapshot: Snapshot) -> tuple[dict[str, dict[int, TrackEntry]], dict[str, frozenset[int]]]:
    """What is known of all tracks, with the ids of their sound, and which ones are there twice.

    Both by file and number.
    """
    first: dict[str, TrackEntry] = {}
    places: dict[str, tuple[str, int]] = {}
    gone: dict[str, frozenset[int]] = {}
    for live in snapshot.segments:
        file = live.segment.path.name
        for number in np.flatnonzero(live.alive).tolist():
            entry = live.entry(number)
            new = live.segment.track_id(number)
            aliases = tuple(dict.fromkeys([*entry.aliases, *([entry.id] if entry.id != new else [])]))
            entry = replace(entry, id=new, aliases=aliases)
            if new in first:
                # The same recording, which had been indexed from two files.
                other = first[new]
                entry = replace(
                    other,
                    sources=(*other.sources, *entry.sources),
                    aliases=tuple(dict.fromkeys([*other.aliases, *aliases])),
                )
                gone[file] = gone.get(file, frozenset()) | {number}
            else:
                places[new] = (file, number)
            first[new] = entry
    entries: dict[str, dict[int, TrackEntry]] = {}
    for new, (file, number) in places.items():
        entries.setdefault(file, {})[number] = first[new]
    return entries, gone
