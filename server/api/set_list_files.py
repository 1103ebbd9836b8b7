"""The set list of a whole VOD or file as files: CSV, M3U, cue sheet, YouTube chapters, links, plain text. Pure.

Titles come from tags and services, so each format gets them on one line, and without what it would read as its
own.
"""

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from yarl import URL

from fingerprint.domain.identification import Kind, Song
from fingerprint.domain.links import SERVICES, links_of
from fingerprint.domain.text import clean_text, clock_text, printable
from fingerprint.domain.tracklist import Tracklist, TracklistEntry
from server.api.hls_playlist import CONTENT_TYPE, HlsEntry, as_hls
from server.api.link_files import LINK_FILES
from server.songs.hearings import Hearing

CHAPTER_SECONDS: Final = 10.0
"""YouTube takes chapters that are at least so long, the first of which is at 0:00."""

LEAST_CHAPTERS: Final = 3
"""With fewer, YouTube shows none."""

TALK_SECONDS: Final = 60.0
"""A pause between songs that is at least so long is a chapter of its own."""

_LINKS: Final = tuple(service.name for service in SERVICES)
_FORMULA_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")
_ANGLES: Final = str.maketrans("<>", "\u2039\u203a")
"""YouTube refuses descriptions with angle brackets."""

_FRAMES: Final = 75
"""The frames of a second in a cue sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTracklist:
    """A tracklist, and of what it is: a VOD's number, or a file's name."""

    kind: str
    target: str
    tracklist: Tracklist
    paths: bool = False
    """With the paths of files in the catalog, which are for operators alone."""
    origin: str = ""
    """The server's public address, where previews are; empty where there is none."""

    @property
    def title(self) -> str:
        """A title for the whole list."""
        return f"Set list of {self.kind} {_line(self.target)}"

    def link(self, seconds: float) -> str | None:
        """The address of a VOD at a second; None for a file."""
        return video_link(self.target, seconds) if self.kind == "video" else None


def video_link(video: str, seconds: float) -> str:
    """The address of a VOD on Twitch at a second."""
    minutes, second = divmod(int(seconds), 60)
    return f"https://www.twitch.tv/videos/{video}?t={minutes // 60}h{minutes % 60}m{second}s"


def hearing_link(hearing: Hearing) -> str | None:
    """The address on Twitch of the clip, or of the VOD at the second, that a song was heard in."""
    match hearing.kind:
        case Kind.CLIP:
            return str(URL("https://clips.twitch.tv") / hearing.target)
        case Kind.VIDEO:
            return video_link(hearing.target, hearing.at_seconds or 0)
        case _:
            return None


def song_name(song: Song) -> str:
    """Artists and title on one line."""
    return _line(f"{', '.join(song.artists)} - {song.title}" if song.artists else song.title)


def _line(text: str) -> str:
    return " ".join(clean_text(text).split())


def as_csv(named: NamedTracklist) -> str:
    """As CSV; an apostrophe comes before cells that a spreadsheet would take for formulas."""
    out = io.StringIO()
    writer = csv.writer(out)
    columns = ("start", "start_seconds", "end_seconds", "title", "artists", "album", "label", "isrc")
    writer.writerow([*columns, "offset", "score", "recognizer", "link", *_LINKS, "corrected"])
    for entry in named.tracklist.songs:
        song, links = entry.song, links_of(entry.song)
        texts = [song.title, ", ".join(song.artists), song.album, song.label, song.isrc]
        places = [named.link(entry.start), *(links[name] for name in _LINKS)]
        writer.writerow(
            [
                clock_text(entry.start),
                f"{entry.start:.1f}",
                f"{entry.end:.1f}",
                *map(_cell, texts),
                "" if song.offset_seconds is None else f"{song.offset_seconds:.1f}",
                "" if entry.shown_score is None else f"{entry.shown_score:.2f}",
                *map(_cell, [entry.recognizer, *places, "yes" if song.corrected else ""]),
            ]
        )
    return "\ufeff" + out.getvalue()


def _cell(value: str | None) -> str:
    text = _line(value or "")
    return f"'{text}" if text.startswith(_FORMULA_SIGNS) else text


def as_m3u(named: NamedTracklist) -> str:
    """A playlist of links: each song at its moment of the VOD, or where it can be heard by itself."""
    lines = ["#EXTM3U", f"#PLAYLIST:{named.title}"]
    for entry in named.tracklist.songs:
        place = named.link(entry.start) or _place(entry.song, paths=named.paths)
        name = song_name(entry.song)
        if place is None:
            lines.append(f"# {clock_text(entry.start)} {name}: no link known")
        else:
            lines += [f"#EXTINF:{max(1, round(entry.end - entry.start))},{name}", place]
    return "\n".join(lines) + "\n"


def as_m3u8(named: NamedTracklist) -> str:
    """The previews of the songs as an HLS playlist, with their moments of the VOD as comments."""
    entries = (
        HlsEntry(name=song_name(entry.song), preview=entry.song.preview, place=named.link(entry.start))
        for entry in named.tracklist.songs
    )
    return as_hls(named.title, entries, named.origin)


def _place(song: Song, *, paths: bool) -> str | None:
    if paths and song.catalog is not None and song.catalog.path:
        return printable(song.catalog.path)
    links = links_of(song)
    return next((links[name] for name in ("youtube", *_LINKS) if links[name]), None)


def as_cue(named: NamedTracklist) -> str:
    """A cue sheet of the recording."""
    name = named.target if named.kind == "file" else f"{named.target}.mp4"
    lines = [f'TITLE "{_quoted(named.title)}"', f'FILE "{_quoted(_line(name))}" WAVE']
    for number, entry in enumerate(named.tracklist.songs, 1):
        song = entry.song
        lines += [f"  TRACK {number:02} AUDIO", f'    TITLE "{_quoted(_line(song.title))}"']
        if song.artists:
            lines.append(f'    PERFORMER "{_quoted(_line(", ".join(song.artists)))}"')
        if song.isrc and song.isrc.isascii() and song.isrc.isalnum() and len(song.isrc) == 12:
            lines.append(f"    ISRC {song.isrc.upper()}")
        frames = round(entry.start * _FRAMES)
        minutes, rest = divmod(frames, 60 * _FRAMES)
        lines.append(f"    INDEX 01 {minutes:02}:{rest // _FRAMES:02}:{rest % _FRAMES:02}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Text for quotation marks, which a cue sheet cannot escape."""
    return text.replace('"', "'")


def as_chapters(named: NamedTracklist) -> str:
    """Chapters for a video's description on YouTube: from 0:00 on, in order, each at least 10 s long.

    Long pauses are chapters of their own; so are short ones where there would be too few for YouTube.
    """
    chapters = _chapters(named.tracklist, TALK_SECONDS)
    if len(chapters) < LEAST_CHAPTERS:
        chapters = _chapters(named.tracklist, CHAPTER_SECONDS)
    return "".join(f"{clock_text(start)} {name}\n" for start, name in chapters)


def _chapters(tracklist: Tracklist, pause_seconds: float) -> Sequence[tuple[float, str]]:
    end = tracklist.duration or tracklist.position
    found: list[tuple[float, str]] = []
    until = 0.0

    def add(start: float, name: str) -> None:
        seconds = float(int(start))
        if not found and seconds < CHAPTER_SECONDS:
            seconds = 0.0
        if (not found or seconds - found[-1][0] >= CHAPTER_SECONDS) and (
            not found or end - seconds >= CHAPTER_SECONDS
        ):
            found.append((seconds, name))

    for entry in tracklist.songs:
        pause = entry.start - until
        if pause >= (CHAPTER_SECONDS if not found else pause_seconds):
            add(until, "Start" if not found else "No known song")
        add(entry.start, song_name(entry.song).translate(_ANGLES))
        until = max(until, entry.end)
    if not found or end - until >= pause_seconds:
        add(until if found else 0.0, "No known song" if found else "Start")
    return found


def as_text(named: NamedTracklist) -> str:
    """One line for each song."""
    return "".join(f"{text_line(entry)}\n" for entry in named.tracklist.songs)


def text_line(entry: TracklistEntry) -> str:
    """Where a song begins, and its name."""
    return f"{clock_text(entry.start):>8}  {song_name(entry.song)}"


def _links_writer(ending: str) -> Callable[[NamedTracklist], str]:
    write = LINK_FILES[ending]
    return lambda named: write(entry.song for entry in named.tracklist.songs)


FILES: Final[dict[str, tuple[str, Callable[[NamedTracklist], str]]]] = {
    "csv": ("text/csv", as_csv),
    "m3u8": (CONTENT_TYPE, as_m3u8),
    "m3u": ("audio/x-mpegurl", as_m3u),
    "cue": ("application/x-cue", as_cue),
    "chapters.txt": ("text/plain", as_chapters),
    **{ending: ("text/plain", _links_writer(ending)) for ending in LINK_FILES},
}
"""By the ending of a file's name: its content type, and what writes it."""
