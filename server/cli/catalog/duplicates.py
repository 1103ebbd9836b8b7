"""`twitchaudio catalog duplicates`: recordings in several files, and those that share sound."""

import argparse
import json
import sys

from tqdm import tqdm

from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.near_duplicates import NearDuplicate, all_near_duplicates, near_duplicates
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.tracks import Source, Track, TrackEntry
from fingerprint.domain.text import clock_text, printable
from server.cli.catalog.place import open_catalog
from server.cli.catalog.text import track_line
from server.own_command import as_typed


def list_duplicates(arguments: argparse.Namespace) -> None:
    """Print recordings in several files, and those that share sound."""
    snapshot = open_catalog(arguments).snapshot()
    near = {} if arguments.exact else _near_duplicates(snapshot)
    entries = {entry.id: entry for entry in snapshot.entries() if len(entry.sources) > 1 or entry.id in near}
    others = {each.other_id for of_track in near.values() for each in of_track} - entries.keys()
    known = entries | {track_id: entry for track_id in others if (entry := snapshot.entry(track_id)) is not None}
    for entry in entries.values():
        of_track = [(known[each.other_id], each) for each in near.get(entry.id, ()) if each.other_id in known]
        if arguments.json:
            body = entry.track.to_json() | {"files": [_file_to_json(entry, source) for source in entry.sources]}
            print(json.dumps(body | {"near": [_near_to_json(other.track, each) for other, each in of_track]}))
            continue
        print(track_line(entry.track))
        for source in entry.sources:
            marks = "*" if source is entry.preferred else " "
            note = " (missing)" if source.missing_since is not None else ""
            note += f" (of {source.owner})" if source.owner else ""
            print(printable(f"  {marks} {source.path}{note}"))
        for other, each in of_track:
            print(f"  ~ {track_line(other.track)}\n      {_shared_text(each)}")
    if not entries and not arguments.json:
        print("No recording is there in more than one file or version.", file=sys.stderr)


def _near_duplicates(snapshot: Snapshot) -> dict[str, list[NearDuplicate]]:
    """What each track shares with others, in a catalog that this version's landmarks can be looked up in."""
    made_by = snapshot.manifest.made_by
    if made_by is not None and made_by.landmarks != DEFAULT.identity:
        print(
            as_typed(
                "twitchaudio: recordings that share sound are found after `twitchaudio catalog rebuild` only: "
                "another version made this catalog"
            ),
            file=sys.stderr,
        )
        return {}
    found = near_duplicates(snapshot)
    bar = tqdm(found, total=len(snapshot), unit="track", file=sys.stderr, disable=None, leave=False)
    return all_near_duplicates(iter(bar))


def _file_to_json(entry: TrackEntry, source: Source) -> dict[str, object]:
    return {
        "path": source.path,
        "preferred": source is entry.preferred,
        "missing": source.missing_since is not None,
        "owner": source.owner or None,
        "title": source.described.title,
        "artists": list(source.described.artists),
        "album": source.described.album,
    }


def _near_to_json(other: Track, near: NearDuplicate) -> dict[str, object]:
    return {
        "id": other.id,
        "title": other.title,
        "artists": list(other.artists),
        "album": other.album,
        "duration": round(other.duration_seconds, 3),
        "path": other.path,
        "shared_seconds": round(near.seconds, 1),
        "share": round(near.share, 3),
        "parts": [
            {"start": part.start_seconds, "end": part.end_seconds, "other_start": part.other_start_seconds}
            for part in near.parts
        ],
    }


def _shared_text(near: NearDuplicate) -> str:
    """How much two tracks share, and where the longest parts are."""
    longest = sorted(near.parts, key=lambda part: -part.seconds)[:3]
    places = ", ".join(
        f"{_clock(part.start_seconds)} to {_clock(part.end_seconds)} is its {_clock(part.other_start_seconds)}"
        for part in sorted(longest, key=lambda part: part.start_seconds)
    )
    more = f", and {len(near.parts) - len(longest)} more" if len(near.parts) > len(longest) else ""
    return f"shares {_clock(near.seconds)} ({near.share:.0%} of the shorter one): {places}{more}"


def _clock(seconds: float) -> str:
    return clock_text(round(seconds))
