"""What the commands of `twitchaudio catalog` have in common: words, and a track's line."""

from collections.abc import Sequence

from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.shown_tracks import ShownTrack
from fingerprint.catalog.tracks import Track, TrackEntry
from fingerprint.domain.text import clock_text, printable


def words_of(texts: Sequence[str]) -> list[str]:
    """The words of a command's texts."""
    return " ".join(texts).split()


def matching(snapshot: Snapshot, texts: Sequence[str]) -> list[TrackEntry]:
    """The tracks whose tags or path, of any of their files, hold every word."""
    return list(snapshot.search(words_of(texts)))


def track_line(track: Track | ShownTrack) -> str:
    """A track as one line for people."""
    artists = ", ".join(track.artists) or "(unknown artist)"
    album = f" [{track.album}]" if track.album else ""
    return printable(
        f"{track.id}  {clock_text(round(track.duration_seconds)):>8}  {artists} - {track.title}{album}"
    )


def count_text(number: int, word: str) -> str:
    """A number with its noun: `1 track`, `2 tracks`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
