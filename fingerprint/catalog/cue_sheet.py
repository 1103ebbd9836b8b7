"""Reads cue sheets: which songs a file of a whole album holds, and where each begins.

A song begins at its `INDEX 01` and ends where the next one of its file begins; times are minutes, seconds and
frames, 75 in a second. What stands before the first `TRACK` is said of the album. Sheets are written by many
programs, in any encoding, and often with mistakes: what cannot be used is said with its line; the rest counts.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from fingerprint.catalog.cuts import Cut
from fingerprint.catalog.song_tags import Tags
from fingerprint.catalog.tags import PLAIN_FORMS
from fingerprint.domain.credits import credits_of
from fingerprint.domain.text import clean_text

MAX_BYTES: Final = 1 << 20
MAX_SONGS: Final = 999
MIN_SONG_SECONDS: Final = 1.0

_TIME: Final = re.compile(r"(\d{1,4}):(\d{1,2})(?:[:.](\d{1,3}))?")
_ENDINGS: Final = "WAVE|MP3|AIFF|BINARY|MOTOROLA|FLAC"
_FILE: Final = re.compile(rf'"(?P<quoted>.*)"(?:\s+\w+)?\s*|(?P<plain>.*?)(?:\s+(?:{_ENDINGS}))?\s*')


@dataclass(frozen=True, slots=True, kw_only=True)
class CueSong:
    """A song: its number in the album, when it begins and ends in its file (None: the file's end), and its texts.

    `texts`: `title`, `performer`, `isrc`, and the album's `album`, `album_performer` and `date`, where it says so.
    """

    number: int
    start_seconds: float
    end_seconds: float | None
    texts: dict[str, str]


@dataclass(slots=True)
class _Track:
    number: int
    line: int
    audio: bool
    file: str | None = None
    start: float | None = None
    texts: dict[str, str] = field(default_factory=dict[str, str])


def read_cue(text: str, on_trouble: Callable[[str], None]) -> dict[str, list[CueSong]]:
    """The songs by the names of their files, as the sheet has them. `on_trouble` is called with sentences."""
    album: dict[str, str] = {}
    tracks: list[_Track] = []
    file: str | None = None
    for line, content in enumerate(text.replace("\0", " ").splitlines(), 1):
        word, _, rest = content.strip().lstrip("\ufeff").partition(" ")
        rest = rest.strip()
        track = tracks[-1] if tracks else None
        match word.upper():
            case "FILE":
                found = _FILE.fullmatch(rest)
                file = (found["quoted"] or found["plain"] or "").strip() if found else rest
            case "TRACK":
                number, _, kind = rest.partition(" ")
                if len(tracks) == MAX_SONGS:
                    on_trouble(f"it has more than {MAX_SONGS} tracks: the others were not read")
                    break
                tracks.append(
                    _Track(
                        int(number) if number.isascii() and number.isdigit() else len(tracks) + 1,
                        line,
                        kind.strip().upper() in ("AUDIO", ""),
                    )
                )
            case "INDEX":
                number, _, time = rest.partition(" ")
                if track is not None and number in ("0", "00", "1", "01"):
                    _place(track, file, time.strip(), line, on_trouble, is_gap=number.strip("0") == "")
            case "TITLE" | "PERFORMER" | "ISRC":
                said = album if track is None else track.texts
                said.setdefault(word.lower(), _text(rest))
            case "REM":
                name, _, value = rest.partition(" ")
                if name.upper() == "DATE":
                    (album if track is None else track.texts).setdefault("date", _text(value))
            case _:
                pass
    of_album = {"album": album.get("title", ""), "album_performer": album.get("performer", "")}
    return _songs(tracks, {**of_album, "date": album.get("date", "")}, on_trouble)


def _place(
    track: _Track, file: str | None, time: str, line: int, on_trouble: Callable[[str], None], *, is_gap: bool
) -> None:
    seconds = _seconds(time)
    if seconds is None:
        on_trouble(f"line {line}: {time[:40]!r} is not a time such as 03:25:00")
    elif not is_gap or track.file is None:
        # The gap before a song may be at the end of the file before.
        track.file, track.start = file, seconds


def _songs(
    tracks: list[_Track], of_album: dict[str, str], on_trouble: Callable[[str], None]
) -> dict[str, list[CueSong]]:
    by_file: dict[str, list[_Track]] = {}
    for track in tracks:
        if not track.audio:
            continue
        if track.start is None or track.file is None:
            on_trouble(
                f"line {track.line}: track {track.number} has no INDEX 01, so it is part of the one before it"
            )
            continue
        of_file = by_file.setdefault(track.file, [])
        before = of_file[-1].start if of_file else None
        if before is not None and track.start < before + MIN_SONG_SECONDS:
            on_trouble(f"line {track.line}: track {track.number} does not begin after the one before it")
            continue
        of_file.append(track)
    return {
        file: [
            CueSong(
                number=track.number,
                start_seconds=track.start or 0.0,
                end_seconds=following.start if following is not None else None,
                texts={name: value for name, value in {**of_album, **track.texts}.items() if value},
            )
            for track, following in zip(of_file, [*of_file[1:], None], strict=True)
        ]
        for file, of_file in by_file.items()
    }


def _seconds(time: str) -> float | None:
    found = _TIME.match(time)
    if found is None:
        return None
    return int(found[1]) * 60 + int(found[2]) + min(int(found[3] or 0), 74) / 75


def _text(rest: str) -> str:
    text = rest.strip()
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        text = text[1:-1]
    return clean_text(" ".join(text.split()))


def cut_and_tags(song: CueSong) -> tuple[Cut, Tags]:
    """Where a song is in its file, and what the sheet says of it."""
    texts = song.texts
    credit = credits_of(texts.get("title", ""), [texts.get("performer") or texts.get("album_performer", "")])
    known: dict[str, Any] = {
        name: form(texts.get("isrc" if name == "isrc" else "date", "")) for name, form in PLAIN_FORMS.items()
    }
    tags = Tags(
        title=credit.title or f"Track {song.number}",
        artists=credit.artists,
        album=texts.get("album") or None,
        **known,
    )
    return (song.start_seconds, song.end_seconds or 0.0), tags
