"""Groups the answers of a channel into plays, for its set list."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.identification import Identification, Song, song_key

LONGEST_GAP: Final = timedelta(minutes=15)
"""Two answers of one song further apart than this, or than twice its length, are two plays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One play of a song. `answers` are the ids of its identifications, newest first.

    `asked_at` is when the oldest of them was created: older plays are found before it. `probable`: none of them
    was sure.
    """

    song: Song
    first_heard: datetime
    last_heard: datetime
    asked_at: datetime
    answers: tuple[str, ...]
    probable: bool = False


NOW: Final = timedelta(minutes=10)
"""How long after it was last heard a song is taken to play now, where nothing else of a channel is public."""


def heard_at(identification: Identification) -> datetime:
    """When the song was heard: when the captured sound was broadcast, where that is known."""
    return identification.captured_at or identification.created_at


def plays(newest_first: Iterable[Identification]) -> Iterator[Play]:
    """Consecutive answers of one song as one play, newest first. Answers without a song are skipped.

    Lazy: yields each play as soon as it has read the newest answer of the next older one.
    """
    run: list[tuple[Song, Identification]] = []
    for identification in newest_first:
        song = identification.song
        if song is None:
            continue
        if run and not _continues(run[-1], (song, identification)):
            yield _play(run)
            run = []
        run.append((song, identification))
    if run:
        yield _play(run)


def plays_of_now(newest_first: Sequence[Play], now: datetime) -> Sequence[Play]:
    """The play of the song that plays now; none when the newest was heard a while ago."""
    return [play for play in newest_first if abs(now - play.last_heard) <= NOW][:1]


def _continues(later: tuple[Song, Identification], earlier: tuple[Song, Identification]) -> bool:
    gap = LONGEST_GAP
    for song, _ in (later, earlier):
        gap = max(gap, timedelta(seconds=2 * (song.duration_seconds or 0.0)))
    apart = heard_at(later[1]) - heard_at(earlier[1])
    return song_key(later[0]) == song_key(earlier[0]) and apart <= gap


def _play(run: list[tuple[Song, Identification]]) -> Play:
    moments = [heard_at(identification) for _, identification in run]
    return Play(
        # The newest answer: what the recognizers know by now.
        song=run[0][0],
        first_heard=min(moments),
        last_heard=max(moments),
        asked_at=min(identification.created_at for _, identification in run),
        answers=tuple(identification.id for _, identification in run),
        probable=all(identification.is_probable for _, identification in run),
    )
