"""Chooses among the releases of one recording that a provider lists as so many matches."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fingerprint.domain.credits import Release, release_orders, version_key
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.links import SERVICES, links_of
from fingerprint.ports import Match
from fingerprint.providers.agreement import same_song

SAME_SCORE: Final = 0.1
"""Releases are chosen among when their scores are this close to the best."""

_ID_NAMES: Final = tuple(item.name for item in dataclasses.fields(ExternalIds))


@dataclass(frozen=True, slots=True)
class ListedMatch:
    """A match on one release."""

    match: Match
    release: Release


def best_match(listed: Sequence[ListedMatch]) -> Match | None:
    """The recording with the highest score, on the release to show; None when nothing is listed.

    Of equal releases the surest, then the one with most ids. A service's ids and an ISRC that it lacks come from
    the recording's other releases.
    """
    if not listed:
        return None
    surest = max(listed, key=lambda each: each.match.score)
    least = surest.match.score - SAME_SCORE
    same = [
        each
        for each in listed
        if each is surest or (each.match.score >= least and _same_recording(each.match.song, surest.match.song))
    ]
    orders = release_orders([each.release for each in same])
    ranked = sorted(zip(orders, same, strict=True), key=lambda pair: (pair[0], *_preference(pair[1].match)))
    song, *others = (each.match.song for _, each in ranked)
    for other in others:
        song = dataclasses.replace(song, ids=_with_services_of(song.ids, other.ids), isrc=song.isrc or other.isrc)
    return Match(song=song, score=surest.match.score)


def _same_recording(one: Song, other: Song) -> bool:
    """Whether two listed songs are one recording: equal ISRCs are, a remix or a live version is another."""
    if one.isrc and other.isrc and one.isrc.upper() == other.isrc.upper():
        return True
    return same_song(one, other) and version_key(one.title) == version_key(other.title)


def _preference(match: Match) -> tuple[float, int, int]:
    links = sum(link is not None for link in links_of(match.song).values())
    return -match.score, -links, -len(match.song.artists)


def _with_services_of(ids: ExternalIds, other: ExternalIds) -> ExternalIds:
    """The ids, with those of `other` at services of which none is known: a track's id goes with its album's."""
    values: dict[str, Any] = {}
    for service in SERVICES:
        names = [name for name in _ID_NAMES if name.startswith(service.name)]
        source = ids if any(getattr(ids, name) for name in names) else other
        values |= {name: getattr(source, name) for name in names}
    return ExternalIds(**values)
