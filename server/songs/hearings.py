"""Where a song was heard, as answers say it: the rows that the song store keeps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.identification import Identification, Kind, Song, Status
from fingerprint.domain.songs import plain_isrc, song_id

LONGEST_GAP: Final = timedelta(minutes=15)
"""Answers about a live channel further apart than this, or than twice the song's length, are two hearings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hearing:
    """A time at which a song was heard, or a clip or VOD that it was heard in.

    `target`: the channel's login, the clip's slug or the VOD's number. `channel`: whose clip or VOD it is, if that
    is known. `at_seconds`: where in the broadcast, the clip or the VOD it was first heard. `corrected`: it has
    the name that the channel gave it, which is not stored with it.
    """

    song_id: str
    isrc: str | None
    kind: Kind
    target: str
    channel: str | None
    channel_id: str | None
    identification_id: str
    first_heard: datetime
    last_heard: datetime
    broadcast: str | None
    at_seconds: int | None
    corrected: bool = False


def hearings_of(answer: Identification) -> Sequence[Hearing]:
    """Where the songs of an answer were heard; nothing for uploaded files, which are their owners' own."""
    if answer.status is not Status.SUCCESSFUL or answer.kind is Kind.FILE:
        return ()
    songs = answer.songs or (() if answer.song is None else (answer.song,))
    return tuple({(hearing := _hearing(answer, song)).song_id: hearing for song in songs}.values())


def _hearing(answer: Identification, song: Song) -> Hearing:
    heard = answer.captured_at or answer.created_at
    moment = answer.moment
    match answer.kind:
        case Kind.STREAM:
            at = None if moment is None else moment.seconds
        case Kind.VIDEO:
            at = answer.at_seconds
        case _:
            at = song.position_seconds
    return Hearing(
        song_id=song_id(song),
        isrc=plain_isrc(song.isrc),
        kind=answer.kind,
        target=answer.target,
        channel=answer.target if answer.kind is Kind.STREAM else answer.channel,
        channel_id=answer.channel_id,
        identification_id=answer.id,
        first_heard=heard,
        last_heard=heard,
        broadcast=None if moment is None else moment.broadcast,
        at_seconds=None if at is None else int(at),
    )


def longest_gap(songs: Iterable[Song]) -> timedelta:
    """How far apart two answers that are one hearing may be: at least twice the length of the longest song."""
    return max([LONGEST_GAP, *(timedelta(seconds=2 * (song.duration_seconds or 0.0)) for song in songs)])
