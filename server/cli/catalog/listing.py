"""`twitchaudio catalog list`, `search`, `missing`, `stats` and `verify`: what is in a catalog."""

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.shown_tracks import ShownTrack
from fingerprint.domain.text import clock_text, printable
from server.cli.catalog.place import fetch_covers, open_catalog, place_of
from server.cli.catalog.text import count_text, track_line, words_of
from server.own_command import as_typed


def list_tracks(arguments: argparse.Namespace) -> None:
    """Print all tracks."""
    shown = _print_tracks(open_catalog(arguments).snapshot().shown_tracks(), as_json=cast("bool", arguments.json))
    if not shown and not arguments.json:
        print(as_typed("The catalog is empty. Add music with `twitchaudio catalog add PATH`."), file=sys.stderr)


def search_tracks(arguments: argparse.Namespace) -> int:
    """Print the tracks that hold every word."""
    found = open_catalog(arguments).snapshot().search(words_of(cast("list[str]", arguments.text)))
    shown = _print_tracks((ShownTrack.of(entry.track) for entry in found), as_json=cast("bool", arguments.json))
    if not shown and not arguments.json:
        print("No track matches.", file=sys.stderr)
    return 0 if shown else 1


def list_missing(arguments: argparse.Namespace) -> int:
    """Print the tracks whose files the last sync did not find."""
    found = [entry for entry in open_catalog(arguments).snapshot().entries() if entry.missing]
    if arguments.json:
        for entry in found:
            since = max(source.missing_since or 0.0 for source in entry.sources)
            print(json.dumps(entry.track.to_json() | {"missing_since": _moment(since)}))
        return 0
    for entry in found:
        print(f"{track_line(entry.track)}\n    {printable(entry.track.path)}")
    if not found:
        print("No track's file is missing, as far as the last sync saw.", file=sys.stderr)
    return 0


def show_stats(arguments: argparse.Namespace) -> int:
    """Print how large the catalog is."""
    catalog = open_catalog(arguments)
    stats = catalog.stats()
    if arguments.json:
        print(json.dumps({"directory": place_of(arguments).name, **dataclasses.asdict(stats)}))
        return 0
    print(printable(f"catalog      {place_of(arguments).name}"))
    print(f"tracks       {stats.tracks} ({clock_text(round(stats.hours * 3600))} of music)")
    print(f"landmarks    {stats.landmarks}")
    print(f"on disk      {stats.size_bytes / 2**20:.1f} MiB in {count_text(stats.segments, 'file')}, ", end="")
    print(f"{stats.bytes_per_minute / 1024:.1f} KiB per minute of music")
    print(f"fingerprint  {stats.fingerprint}")
    return 0


def verify_catalog(arguments: argparse.Namespace) -> int:
    """Read the whole catalog, and print what is damaged."""
    place = place_of(arguments)
    if place.remote is not None:
        open_catalog(arguments)
        fetch_covers(arguments)
    catalog = Catalog(place.folder, any_fingerprint=True)
    problems = catalog.verify()
    if place.remote is not None:
        problems += place.remote.missing_files()
    if arguments.json:
        print(json.dumps({"ok": not problems, "problems": problems}))
    else:
        for problem in problems:
            print(printable(f"twitchaudio: {problem}"), file=sys.stderr)
        if not problems:
            whole = f"The catalog in {place.name} is whole: {count_text(len(catalog.snapshot()), 'track')}."
            print(printable(whole))
    return 1 if problems else 0


def _print_tracks(tracks: Iterable[ShownTrack], *, as_json: bool) -> int:
    """Print tracks, none of which is kept in memory; returns how many there were."""
    shown = 0
    write = sys.stdout.write
    for shown, track in enumerate(tracks, 1):  # noqa: B007 - it is counted
        write(_json_line(track.to_json()) if as_json else track_line(track))
        write("\n")
    return shown


def _json_line(body: dict[str, Any]) -> str:
    """A JSON object in ASCII alone. Most are, and take a fifth of the time so."""
    with contextlib.suppress(UnicodeEncodeError):
        encoded = msgspec.json.encode(body)
        if encoded.isascii():
            return encoded.decode()
    return json.dumps(body, separators=(",", ":"))


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
