"""The time line of a set list: when in the broadcast each play was, as bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from server.identifications.set_list import Play

SESSION_GAP: Final = timedelta(hours=3)
"""Plays further apart than this belong to two broadcasts, on the timeline."""

SESSION_MOST: Final = timedelta(hours=24)

_LEAST_WIDTH: Final = 0.5

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineBar:
    """A play on the timeline; `start` and `width` in percent."""

    key: str
    start: float
    width: float
    title: str
    tone: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A full hour; `at` in percent."""

    at: float
    moment: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The newest broadcast's plays between two full hours."""

    start: datetime
    end: datetime
    bars: Sequence[TimelineBar]
    ticks: Sequence[Tick]


def timeline(plays: Sequence[Play], clock: tzinfo = UTC) -> Timeline | None:
    """The timeline of the newest broadcast among `plays`, which are newest first; None without plays."""
    session: list[Play] = []
    for play in plays:
        if session:
            apart, whole = session[-1].first_heard - play.last_heard, session[0].last_heard - play.first_heard
            if apart > SESSION_GAP or whole > SESSION_MOST:
                break
        session.append(play)
    if not session:
        return None
    start = min(play.first_heard for play in session).replace(minute=0, second=0, microsecond=0)
    newest = max(play.last_heard + timedelta(seconds=1) for play in session)
    end = newest.replace(minute=0, second=0, microsecond=0) + _HOUR
    hours = round((end - start) / _HOUR)
    step = next((step for step in (1, 2, 3, 4, 6) if hours / step <= 8), 6)
    # Whole steps, so that the last tick is the end.
    end = start + -(-hours // step) * step * _HOUR
    span = end - start
    bars = [_bar(play, start, span, number) for number, play in enumerate(reversed(session))]
    return Timeline(start=start, end=end, bars=bars, ticks=_ticks(start, end, step, clock))


def _bar(play: Play, start: datetime, span: timedelta, number: int) -> TimelineBar:
    # One answer is a moment; the song around it is what was playing.
    length = play.last_heard - play.first_heard
    song = play.song
    if song.duration_seconds and song.offset_seconds is not None and len(play.answers) == 1:
        length = timedelta(seconds=max(0.0, min(600.0, song.duration_seconds - song.offset_seconds)))
    at = 100 * ((play.first_heard - start) / span)
    width = max(_LEAST_WIDTH, 100 * (length / span))
    by = f" - {', '.join(song.artists)}" if song.artists else ""
    return TimelineBar(
        key=play.answers[-1],
        start=round(min(at, 100 - _LEAST_WIDTH), 3),
        width=round(min(width, 100 - at), 3),
        title=f"{song.title}{by}",
        tone=number % 3,
    )


def _ticks(start: datetime, end: datetime, step: int, clock: tzinfo) -> list[Tick]:
    hours = round((end - start) / _HOUR)
    return [
        Tick(at=round(100 * hour / hours, 3), moment=(start + hour * _HOUR).astimezone(clock))
        for hour in range(0, hours + 1, step)
    ]
