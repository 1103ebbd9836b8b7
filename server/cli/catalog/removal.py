"""`twitchaudio catalog remove`, `prune` and `exclude`: what is taken out, or left out."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.missing import plan_pruning
from fingerprint.catalog.tracks import Source, TrackEntry
from fingerprint.catalog.walk import is_pattern
from fingerprint.domain.text import printable
from server.cli.catalog.place import open_catalog, open_writer, place_of, saying_what_is_held
from server.cli.catalog.text import count_text, matching
from server.own_command import as_typed


def remove_tracks(arguments: argparse.Namespace) -> int:
    """Remove tracks by id, text, folder or owner."""
    ids = list(dict.fromkeys(cast("list[str]", arguments.ids)))
    text, under = cast("str | None", arguments.search), cast("Path | None", arguments.under)
    owner = (cast("str | None", arguments.owner) or "").strip()
    if not ids and not (text or "").split() and under is None and not owner:
        print("twitchaudio: name what to remove: ids, --search, --under or --owner", file=sys.stderr)
        return 2
    with saying_what_is_held(arguments), open_writer(arguments) as writer:
        snapshot = writer.snapshot()
        named = {track_id: snapshot.entry(track_id) for track_id in ids}
        unknown = [track_id for track_id, entry in named.items() if entry is None]
        chosen = {entry.id for entry in named.values() if entry is not None}
        if text:
            chosen |= {entry.id for entry in matching(snapshot, [text])}
        # Tracks that have other files, too, stay.
        outside = _without(
            snapshot,
            lambda source: (
                (under is not None and _is_under(source, under)) or (bool(owner) and source.owner == owner)
            ),
        )
        chosen |= {entry.id for entry, left in outside.values() if not left}
        changed = [entry.with_sources(left) for entry, left in outside.values() if entry.id not in chosen]
        if chosen or changed:
            writer.add([], replacing=chosen, describing=changed)
    if arguments.json:
        changed_ids = sorted(entry.id for entry in changed)
        print(json.dumps({"removed": sorted(chosen), "changed": changed_ids, "unknown": unknown}))
    else:
        print(f"{count_text(len(chosen), 'track')} removed.")
        if changed:
            lost = ["files in that folder"] * (under is not None) + [f"descriptions by {owner}"] * bool(owner)
            stay = "stays" if len(changed) == 1 else "stay"
            others = count_text(len(changed), "other track")
            print(printable(f"{others} lost only {' and '.join(lost)}, and {stay} in the catalog."))
    if not unknown and not (chosen or changed):
        print("twitchaudio: no track matches", file=sys.stderr)
    for track_id in unknown:
        where = place_of(arguments).name
        print(printable(f"twitchaudio: there is no track {track_id} in {where}"), file=sys.stderr)
    return 1 if unknown or not (chosen or changed) else 0


def _without(snapshot: Snapshot, chosen: Callable[[Source], bool]) -> dict[str, tuple[TrackEntry, list[Source]]]:
    """The tracks that have a file of some kind, each with its other files."""
    found: dict[str, tuple[TrackEntry, list[Source]]] = {}
    for entry in snapshot.entries():
        left = [source for source in entry.sources if not chosen(source)]
        if len(left) < len(entry.sources):
            found[entry.id] = (entry, left)
    return found


def _is_under(source: Source, folder: Path) -> bool:
    path = str(folder.absolute())
    return not source.owner and (source.path == path or source.path.startswith(path.rstrip("/") + "/"))


def prune_tracks(arguments: argparse.Namespace) -> int:
    """Remove the tracks whose files are missing."""
    with saying_what_is_held(arguments), open_writer(arguments) as writer:
        plan = plan_pruning(list(writer.snapshot().entries()))
        refused = bool(plan.unmounted) and not arguments.force
        gone = frozenset[str]() if refused else plan.gone
        if not refused and (plan.gone or plan.changed):
            writer.add([], replacing=plan.gone, describing=plan.changed)
    if arguments.json:
        print(json.dumps({"removed": sorted(gone)}))
    elif not refused:
        print(f"{count_text(len(gone), 'track')} removed.")
    if refused:
        where = ", ".join(f"{number} of {root or 'those named alone'}" for root, number in plan.unmounted)
        print(
            printable(
                f"twitchaudio: so many files are missing that a disk may not be mounted ({where}): nothing was "
                "removed. Run the command again with --force if they are gone."
            ),
            file=sys.stderr,
        )
    elif plan.back:
        print(
            as_typed(
                f"twitchaudio: {count_text(plan.back, 'file')} marked as missing are there again: run "
                "`twitchaudio catalog sync`"
            ),
            file=sys.stderr,
        )
    return 1 if refused else 0


def exclude_files(arguments: argparse.Namespace) -> int:
    """List, add or remove the patterns of files that are left out."""
    patterns = cast("list[str]", arguments.patterns)
    if not patterns and arguments.remove:
        print("twitchaudio: name the patterns to remove", file=sys.stderr)
        return 2
    useless = [] if arguments.remove else [pattern for pattern in patterns if not is_pattern(pattern)]
    if useless:
        text = ", ".join(repr(pattern[:80]) for pattern in useless)
        print(printable(f"twitchaudio: no file can fit such a pattern: {text}"), file=sys.stderr)
        return 2
    if not patterns:
        excluded = open_catalog(arguments).snapshot().manifest.excluded
        print(
            json.dumps(list(excluded)) if arguments.json else "\n".join(map(printable, excluded)),
            end="\n" if excluded else "",
        )
        return 0
    with saying_what_is_held(arguments), open_writer(arguments) as writer:
        known = writer.snapshot().manifest.excluded
        unknown = [pattern for pattern in patterns if pattern not in known] if arguments.remove else []
        if arguments.remove:
            kept = [pattern for pattern in known if pattern not in patterns]
        else:
            kept = list(dict.fromkeys([*known, *patterns]))
        if kept != list(known):
            writer.exclude(kept)
    if arguments.json:
        print(json.dumps(kept))
    else:
        print(
            as_typed(
                f"{count_text(len(kept), 'pattern')}. The next `twitchaudio catalog sync` leaves out what fits."
            )
        )
    for pattern in unknown:
        print(printable(f"twitchaudio: there is no pattern {pattern}"), file=sys.stderr)
    return 1 if unknown else 0
