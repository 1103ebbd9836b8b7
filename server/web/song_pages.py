"""The page of a song: its cover, its links, and where it was heard."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from aiohttp import web
from yarl import URL

from fingerprint.domain.identification import Kind
from fingerprint.domain.landmark_points import drawing_path
from fingerprint.domain.links import links_of, search_links_of
from fingerprint.domain.text import clock_text
from server import keys
from server.access.rules.website import AccessMode, WebsiteSettings
from server.api.requests import no_unknown_query, query_time
from server.api.set_list_files import hearing_link
from server.api.songs import SongHistory, song_history
from server.songs.hearings import Hearing
from server.web.languages import ENGLISH, QUERY, Language, language_of
from server.web.render import in_time, render
from server.web.share import ShareCard, card_response, share_card

PAGE: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class HearingRow:
    """A hearing as the page shows it. `place`: the address of the set list, clip or VOD that it is from."""

    name: str
    place: str
    outside: bool
    first: datetime
    last: datetime
    at: str
    answer: str
    corrected: bool


def hearing_row(hearing: Hearing, language: Language = ENGLISH) -> HearingRow:
    """The row that shows a hearing."""
    link, at = hearing_link(hearing), clock_text(hearing.at_seconds or 0)
    whose = hearing.channel or ""
    name = {
        Kind.CLIP: language.gettext("Clip of %(channel)s", channel=whose)
        if whose
        else language.gettext("Clip %(clip)s", clip=hearing.target),
        Kind.VIDEO: language.gettext("Video of %(channel)s at %(time)s", channel=whose, time=at)
        if whose
        else language.gettext("Video %(video)s at %(time)s", video=hearing.target, time=at),
    }.get(hearing.kind, hearing.target)
    return HearingRow(
        name=name,
        place=link or str(URL("/channels") / hearing.target),
        outside=link is not None,
        first=hearing.first_heard,
        last=hearing.last_heard,
        at=at if hearing.kind is Kind.STREAM and hearing.at_seconds is not None else "",
        answer=hearing.identification_id,
        corrected=hearing.corrected,
    )


class SongPages:
    """Handlers of a song's page. `store_seconds` is how long each waits for the database."""

    def __init__(self, *, store_seconds: float) -> None:
        self._seconds = store_seconds

    async def card(self, request: web.Request) -> web.Response:
        """`/cards/songs/{id}.png`: the picture that is shown with a link to the song."""
        async with in_time(self._seconds):
            found = await song_history(request, limit=1)
            website = (await request.app[keys.ACCESS].rules()).website
        return await card_response(request, _card(request, website, found))

    async def song(self, request: web.Request) -> web.Response:
        """The song, and a page of where it was heard."""
        no_unknown_query(request, "before", QUERY)
        language = language_of(request)
        before = query_time(request, "before")
        async with in_time(self._seconds):
            found = await song_history(request, limit=PAGE, before=before)
            website = (await request.app[keys.ACCESS].rules()).website
        song = found.song
        length = clock_text(song.duration_seconds) if song.duration_seconds else None
        older = found.next_before
        context: dict[str, Any] = {
            "song": song,
            "song_id": found.id,
            "artists": ", ".join(song.artists),
            "cover": next((each for each in reversed(song.artwork) if each.width >= 300), None)
            or next(iter(song.artwork), None),
            "facts": [
                (name, value)
                for name, value in (
                    (language.gettext("Album"), song.album),
                    (language.gettext("Label"), song.label),
                    (language.gettext("Released"), language.long_date(song.release_date or "")),
                    (language.gettext("ISRC"), song.isrc),
                    (language.gettext("Length"), length),
                )
                if value
            ],
            "links": {name: link for name, link in links_of(song).items() if link},
            "searches": search_links_of(song),
            "rows": [hearing_row(each, language) for each in found.heard],
            "older": "" if older is None else str(URL.build(query={"before": older.isoformat()})),
            "newest": before is None,
            "preview": song.preview or "",
            "drawn": drawing_path(song),
            "share": _card(request, website, found),
            "indexed": website.access_mode is AccessMode.OPEN and before is None,
        }
        return render("song.html", request, context)


def _card(request: web.Request, website: WebsiteSettings, found: SongHistory) -> ShareCard | None:
    return share_card(
        request,
        website,
        song=found.song,
        path=f"/songs/{found.id}",
        image=f"/cards/songs/{found.id}.png",
        where=f"Heard on {found.heard[0].channel}" if found.heard and found.heard[0].channel else "",
    )
