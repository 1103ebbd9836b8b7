"""`/videos/{id}`: the set list of a whole VOD, as far as it is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from fingerprint.domain.links import links_of, search_links_of
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.text import clock_text
from fingerprint.domain.tracklist import Tracklist, TracklistEntry
from server import keys
from server.api.link_files import LABELS, empty_link_files
from server.api.owners import public_video
from server.api.responses import BASE
from server.api.set_list_files import FILES, song_name, video_link
from server.api.video_set_lists import asked_video, cancel_set_list, make_set_list, may_make
from server.channels.video_set_list_store import VideoSetListStore
from server.middleware.forms import read_form
from server.web.answer import small_cover_of, song_page
from server.web.details import translated_detail
from server.web.languages import ENGLISH, Language, language_of
from server.web.render import in_time, render
from server.web.share import card_response, video_card
from server.web.words import WORDS

REFRESH_SECONDS: Final = 5
"""How often the page is loaded again while the VOD is listened to."""

_LEAST_WIDTH: Final = 0.3
_TICKS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A part of the drawing, in percent of the VOD."""

    start: float
    width: float
    title: str
    tone: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SongRow:
    """A song of the list."""

    key: str
    page: str
    start: str
    end: str
    title: str
    artists: str
    album: str
    live: bool
    link: str
    preview: str
    cover: str
    links: Mapping[str, str]
    searches: Mapping[str, str]
    corrected: bool


def rows(video: str, found: Tracklist) -> Sequence[SongRow]:
    """The songs as the page lists them."""
    return [
        SongRow(
            key=str(number),
            page=song_page(entry.song, heard=entry.live),
            start=clock_text(entry.start),
            end=clock_text(entry.end),
            title=entry.song.title,
            artists=", ".join(entry.song.artists),
            album=entry.song.album or "",
            live=entry.live,
            link=video_link(video, entry.start),
            preview=entry.song.preview or "",
            cover=small_cover_of(entry.song),
            links={name: link for name, link in links_of(entry.song).items() if link},
            searches=search_links_of(entry.song),
            corrected=entry.song.corrected,
        )
        for number, entry in enumerate(found.songs)
    ]


def bars(found: Tracklist, language: Language = ENGLISH) -> Sequence[Bar]:
    """The drawing: songs, and parts without sound. Empty while the length is unknown."""
    length = found.duration or 0.0
    if length <= 0.0:
        return []

    def bar(start: float, end: float, title: str, tone: str, key: str = "") -> Bar:
        at = min(100.0 * start / length, 100.0 - _LEAST_WIDTH)
        width = min(max(_LEAST_WIDTH, 100.0 * (end - start) / length), 100.0 - at)
        return Bar(start=round(at, 3), width=round(width, 3), title=title, tone=tone, key=key)

    def song(number: int, entry: TracklistEntry) -> Bar:
        title = f"{clock_text(entry.start)} {song_name(entry.song)}"
        return bar(entry.start, entry.end, title, f"tone{number % 3}", str(number))

    def muted(start: str, end: str) -> str:
        return language.gettext("muted from %(start)s to %(end)s", start=start, end=end)

    def silent(start: str) -> str:
        return language.gettext("no sound from %(start)s", start=start)

    without = [
        *(bar(start, end, muted(clock_text(start), clock_text(end)), "muted") for start, end in found.muted),
        *(bar(start, end, silent(clock_text(start)), "muted") for start, end in found.missing),
    ]
    return [*without, *(song(number, entry) for number, entry in enumerate(found.songs))]


def ticks(found: Tracklist) -> Sequence[str]:
    """The times below the drawing, evenly spread from the start to the end."""
    length = found.duration or 0.0
    return [clock_text(length * number / (_TICKS - 1)) for number in range(_TICKS)] if length > 0.0 else []


class VideoPages:
    """Handlers of a VOD's page. `store_seconds` is how long each waits for the database."""

    def __init__(self, *, store_seconds: float) -> None:
        self._seconds = store_seconds

    async def set_list(self, request: web.Request) -> web.Response:
        """The set list so far, its files, and what the visitor may do about it."""
        video = asked_video(request).video_id
        if video != request.match_info["id"]:
            raise web.HTTPFound(location=f"/videos/{video}")
        async with in_time(self._seconds):
            found = await VideoSetListStore(request.app[keys.DATABASE]).get(video)
            found = found and await public_video(request, found)
            website = (await request.app[keys.ACCESS].rules()).website
        tracklist = Tracklist() if found is None else found.tracklist
        working = found is not None and not found.status.finished
        length = tracklist.duration or 0.0
        language = language_of(request)
        problem = None if found is None else found.problem
        empty = empty_link_files([entry.song for entry in tracklist.songs])
        context: dict[str, Any] = {
            "video": video,
            "found": found,
            "problem": "" if problem is None else _why(problem, language),
            "working": working,
            "refresh": REFRESH_SECONDS,
            "allowed": await _allowed(request, video),
            "rows": rows(video, tracklist),
            "bars": bars(tracklist, language),
            "ticks": ticks(tracklist),
            "position": clock_text(tracklist.position),
            "duration": clock_text(length) if length else "",
            "progress": round(100 * min(1.0, tracklist.position / length)) if length else 0,
            "muted": [(clock_text(start), clock_text(end)) for start, end in tracklist.muted],
            "missing": [(clock_text(start), clock_text(end)) for start, end in tracklist.missing],
            "downloads": [
                (LABELS.get(ending, ""), ending, f"{BASE}/videos/{video}/set-list.{ending}")
                for ending in ("json", *FILES)
                if ending not in empty
            ],
            "share": video_card(request, website, video, tracklist),
        }
        return render("video.html", request, context)

    async def card(self, request: web.Request) -> web.Response:
        """`/cards/videos/{id}.png`: the picture that is shown with a link to the set list."""
        video = asked_video(request).video_id
        async with in_time(self._seconds):
            found = await VideoSetListStore(request.app[keys.DATABASE]).get(video)
            found = found and await public_video(request, found)
            website = (await request.app[keys.ACCESS].rules()).website
        return await card_response(request, found and video_card(request, website, video, found.tracklist))

    async def change(self, request: web.Request) -> web.Response:
        """Start the set list or cancel it, and show the page."""
        form = await read_form(request, request.app[keys.SETTINGS].limits.body_seconds)
        async with in_time(self._seconds):
            if form.get("action") == "cancel":
                await cancel_set_list(request)
            else:
                await make_set_list(request, again=form.get("action") == "again")
        raise web.HTTPSeeOther(location=f"/videos/{asked_video(request).video_id}")


def _why(problem: Problem, language: Language) -> str:
    return translated_detail(problem.detail, language) or WORDS[problem.code].translated(language).heading


async def _allowed(request: web.Request, video: str) -> bool:
    """Whether the visitor may start and cancel it. Twitch is asked only about visitors who are signed in."""
    if request[keys.CONTEXT].credentials.session is None:
        return False
    try:
        await may_make(request, video)
    except TwitchAudioError as error:
        if error.code is ProblemCode.INVALID_INPUT:
            raise
        return False
    return True
