"""A channel's set list as its page shows it: filter, rows, timeline and downloads. Pure functions."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from fingerprint.domain.identification import Song
from fingerprint.domain.links import SERVICES, links_of, search_links_of
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.songs import song_id
from fingerprint.wire import time_to_json
from server.api.hls_playlist import HlsEntry, as_hls
from server.api.set_list_forms import PlayJson
from server.identifications.set_list import Play
from server.web.answer import small_cover_of
from server.web.languages import ENGLISH, Language

SEARCH_LIMIT: Final = 200
_LINKS: Final = tuple(service.name for service in SERVICES)
_SPREADSHEET_SIGNS: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayFilter:
    """The plays that a visitor wants to see: those of a day or the newest, and with a text in them.

    The day is one of `zone`, without which it is one of UTC.
    """

    day: date | None = None
    search: str = ""
    zone: ZoneInfo | None = None

    @property
    def clock(self) -> tzinfo:
        """The zone that days and times are told in."""
        return self.zone or UTC

    @property
    def zone_name(self) -> str:
        """The name of that zone, for people."""
        return "UTC" if self.zone is None else self.zone.key

    @property
    def since(self) -> datetime | None:
        """When the chosen day begins; None without a day."""
        return None if self.day is None else self._start(self.day)

    @property
    def before(self) -> datetime | None:
        """When the chosen day ends; None without a day."""
        return None if self.day is None else self._start(self.day + timedelta(days=1))

    def _start(self, day: date) -> datetime:
        return datetime.combine(day, time(), self.clock).astimezone(UTC)

    def query(self, **more: str) -> dict[str, str]:
        """The filter as query parameters, with others beside them."""
        day = {} if self.day is None else {"day": self.day.isoformat()}
        search = {"q": self.search} if self.search else {}
        zone = {} if self.zone is None else {"zone": self.zone.key}
        return {**day, **search, **zone, **more}


def parse_filter(query: Mapping[str, str], zone: ZoneInfo | None = None) -> PlayFilter:
    """The filter in the query of an address, whose zone was looked up. Raises TwitchAudioError `invalid-input`."""
    text = query.get("day", "").strip()
    day = None
    if text:
        try:
            day = date.fromisoformat(text)
        except ValueError as error:
            raise invalid_input("Write the day like this: 2026-03-01.") from error
        if not 2000 <= day.year <= 2100:
            raise invalid_input("The day has to be one of this century.")
    return PlayFilter(day=day, search=query.get("q", "").strip()[:SEARCH_LIMIT], zone=zone)


def matching(plays: Sequence[Play], search: str) -> list[Play]:
    """Plays whose title, artists and album together contain every word of the search."""
    words = search.casefold().split()

    def fits(song: Song) -> bool:
        text = " ".join([song.title, *song.artists, song.album or ""]).casefold()
        return all(word in text for word in words)

    return [play for play in plays if fits(play.song)]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayRow:
    """A play with what its row shows. `key` stays the same while the play goes on. `each_artist`: one a line."""

    key: str
    answer: str
    song: str
    title: str
    artists: str
    album: str
    first: datetime
    last: datetime
    links: Mapping[str, str]
    searches: Mapping[str, str]
    probably: str
    preview: str
    cover: str
    corrected: bool
    each_artist: str


def row(play: Play, language: Language = ENGLISH, clock: tzinfo = UTC) -> PlayRow:
    """The row that shows a play in the list."""
    song = play.song
    return PlayRow(
        key=play.answers[-1],
        answer=play.answers[0],
        song=song_id(song),
        title=song.title,
        artists=", ".join(song.artists),
        album=song.album or "",
        first=play.first_heard.astimezone(clock),
        last=play.last_heard.astimezone(clock),
        links={name: link for name, link in links_of(song).items() if link},
        searches=search_links_of(song),
        probably=language.gettext("Probably") if play.probable else "",
        preview=song.preview or "",
        cover=small_cover_of(song),
        corrected=song.corrected,
        each_artist="\n".join(song.artists),
    )


# --- Downloads ------------------------------------------------------------------------------------------


def as_json(login: str, plays: Sequence[Play], *, paths: bool = False) -> str:
    """The plays as JSON, in the form of the API's set list."""
    body = {"channel": login, "plays": [PlayJson.of(play, paths=paths) for play in plays]}
    return msgspec.json.format(msgspec.json.encode(body), indent=1).decode()


def as_csv(plays: Sequence[Play], zone: ZoneInfo | None = None) -> str:
    """The plays as CSV, with the times of a zone if there is one.

    An apostrophe comes before cells that a spreadsheet would take for formulas.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(
        ["first_heard", "last_heard", "title", "artists", "album", "label", "isrc", *_LINKS, "corrected"]
    )
    for play in plays:
        song, links = play.song, links_of(play.song)
        cells = [
            _time(play.first_heard, zone),
            _time(play.last_heard, zone),
            song.title,
            ", ".join(song.artists),
            song.album,
            song.label,
            song.isrc,
            *(links[name] for name in _LINKS),
            "yes" if song.corrected else "",
        ]
        writer.writerow([_cell(cell) for cell in cells])
    return "\ufeff" + out.getvalue()


def _time(moment: datetime, zone: ZoneInfo | None) -> str | None:
    return time_to_json(moment) if zone is None else moment.astimezone(zone).isoformat(timespec="microseconds")


def _cell(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(_SPREADSHEET_SIGNS) else text


def as_m3u(login: str, plays: Sequence[Play], *, paths: bool = False) -> str:
    """Links in the order in which the songs were heard, each once; only what has a link can be played."""
    lines = ["#EXTM3U", f"#PLAYLIST:{login}"]
    for name, song in _songs_once(plays).items():
        links = links_of(song)
        link = next((links[name] for name in ("youtube", *_LINKS) if links[name]), None)
        place = link or (song.catalog.path if paths and song.catalog is not None else None)
        if place is None:
            lines.append(f"# {name}: no link known")
        else:
            lines += [f"#EXTINF:{round(song.duration_seconds or -1)},{name}", place]
    return "\n".join(lines) + "\n"


def as_m3u8(login: str, plays: Sequence[Play], *, origin: str) -> str:
    """The previews of the songs in the order in which they were heard, each once, as an HLS playlist."""
    songs = _songs_once(plays).items()
    return as_hls(login, (HlsEntry(name=name, preview=song.preview) for name, song in songs), origin)


def _songs_once(plays: Sequence[Play]) -> Mapping[str, Song]:
    """The songs by their names, in the order in which they were heard."""
    found: dict[str, Song] = {}
    for play in reversed(plays):
        song = play.song
        found.setdefault(" ".join(" - ".join(filter(None, [", ".join(song.artists), song.title])).split()), song)
    return found
