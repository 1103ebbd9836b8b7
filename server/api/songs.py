"""`/api/v1/songs/{id}`: a song, and where it was heard."""

import asyncio
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from fingerprint.domain.identification import Identification, IdentificationId, Kind, Song
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.songs import SONG_ID, plain_isrc, song_id
from fingerprint.domain.targets import ChannelTarget, ClipTarget, VideoTarget
from fingerprint.ports import Broadcaster
from server import keys
from server.access.quotas.budgets import Allowance, CostBudget
from server.access.rules.lists import Blacklist
from server.api.owners import sees_all
from server.api.requests import no_unknown_query, query_limit, query_time
from server.api.responses import BASE, is_operator, revalidated_response
from server.api.set_list_forms import SongHistoryJson
from server.identifications.set_list import Play
from server.owner_choices.choices import Correction, Visibility, moment_of
from server.songs.hearings import Hearing, longest_gap

DEFAULT_HEARINGS: Final = 50
MOST_HEARINGS: Final = 200
BUDGET: Final = Allowance(burst=1_000.0, per_second=10.0)
"""How many pages of songs an address may read."""

# Not in `server.keys`: only this module uses it.
HISTORIES: Final = web.AppKey("song_budget", CostBudget)

_MOST_PAGES: Final = 5
"""How many pages are read to find hearings that may be shown."""

_ANSWERS_TRIED: Final = 5
"""How many of the newest answers are read to describe the song: one may have been deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SongHistory:
    """A song, where it was heard, newest first, and `before` of the next page, None on the last one."""

    id: str
    song: Song
    heard: Sequence[Hearing]
    next_before: datetime | None


async def song_history(
    request: web.Request, *, limit: int = DEFAULT_HEARINGS, before: datetime | None = None
) -> SongHistory:
    """The song in the path of a request, and where it was heard as far as the one who asks may see it.

    Raises TwitchAudioError `not-found`, `rate-limited`, `busy`.
    """
    budget, address = request.app[HISTORIES], request[keys.CONTEXT].credentials.address
    budget.check(address, "Too many pages of songs were read from here. Try again in a moment.")
    budget.spend(address)
    identifier = request.match_info["id"]
    missing = TwitchAudioError(
        ProblemCode.NOT_FOUND, "There is no song with this id, or it has not been heard here yet."
    )
    if not SONG_ID.fullmatch(identifier):
        raise missing
    heard, more = await _visible(request, identifier, limit, before)
    song = await _described(request, identifier, heard)
    if song is None and before is not None:
        # The last page may be empty; the song is described by what is on the first one.
        newest, _ = await _visible(request, identifier, _ANSWERS_TRIED, None)
        song = await _described(request, identifier, newest)
    if song is None:
        raise missing
    return SongHistory(
        id=song_id(song), song=song, heard=heard, next_before=heard[-1].last_heard if more and heard else None
    )


async def _visible(
    request: web.Request, identifier: str, limit: int, before: datetime | None
) -> tuple[list[Hearing], bool]:
    """A page of what may be shown, and whether there is more."""
    store, visible = request.app[keys.SONGS], _Visibility(request)
    found: list[Hearing] = []
    for _ in range(_MOST_PAGES):
        page = await store.hearings(identifier, limit=limit + 1, before=before)
        found += [shown for hearing in page if (shown := await visible.shown(hearing)) is not None]
        if len(page) <= limit or len(found) > limit:
            break
        before = page[-1].last_heard
    return found[:limit], len(found) > limit


class _Visibility:
    """What the sender of a request may see: live channels as in their set lists, others as their answers."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._kinds: dict[Kind, bool] = {Kind.STREAM: True}
        self._channels: dict[str, Broadcaster | None] = {}
        self._shown_all: dict[str, bool] = {}

    async def shown(self, hearing: Hearing) -> Hearing | None:
        """A hearing as it may be shown; None if it may not. Raises TwitchAudioError `busy`."""
        if hearing.kind not in self._kinds:
            self._kinds[hearing.kind] = await self._allows_kind(hearing.kind)
        if not self._kinds[hearing.kind]:
            return None
        blacklist = (await self._request.app[keys.ACCESS].rules()).blacklist
        if not blacklist.empty and await self._blacklisted(blacklist, hearing):
            return None
        return hearing if hearing.channel is None else await self._public(hearing, hearing.channel)

    async def _public(self, hearing: Hearing, channel: str) -> Hearing | None:
        """The hearing as the channel's owner has it shown."""
        choices = await self._request.app[keys.CHOICES].of(channel)
        if choices.visibility is not Visibility.SET_LIST:
            if channel not in self._shown_all:
                self._shown_all[channel] = await sees_all(self._request, channel)
            if not self._shown_all[channel]:
                return None
        if not choices.corrections:
            return hearing
        if hearing.kind is Kind.STREAM and _is_decided_about(hearing, choices.corrections):
            return await self._what_is_left(hearing)
        answer = await self._request.app[keys.JOBS].get(IdentificationId(hearing.identification_id))
        if answer is None:
            return hearing
        song = _song_of(choices.shown(answer), hearing)
        return None if song is None else dataclasses.replace(hearing, corrected=song.corrected)

    async def _what_is_left(self, hearing: Hearing) -> Hearing | None:
        """A hearing of several plays, without those that are hidden or another song's."""
        history = self._request.app[keys.SERVICE].history
        within = await history.answers_between(hearing.target, hearing.first_heard, hearing.last_heard)
        left = [answer for answer in within if _song_of(answer, hearing) is not None]
        if not left:
            return None
        first, newest = left[-1], left[0]
        song, moment = _song_of(newest, hearing), first.moment
        return dataclasses.replace(
            hearing,
            identification_id=newest.id,
            first_heard=moment_of(first),
            last_heard=moment_of(newest),
            at_seconds=None if moment is None or moment.seconds is None else int(moment.seconds),
            corrected=song is not None and song.corrected,
        )

    async def _allows_kind(self, kind: Kind) -> bool:
        access, context = self._request.app[keys.ACCESS], self._request[keys.CONTEXT]
        try:
            await access.authenticate(context)
            return await access.refusal(context, kind) is None
        except TwitchAudioError as error:
            if error.code is ProblemCode.BUSY:
                raise
            return False

    async def _blacklisted(self, blacklist: Blacklist, hearing: Hearing) -> bool:
        target: ChannelTarget | ClipTarget | VideoTarget
        match hearing.kind:
            case Kind.STREAM:
                target = ChannelTarget(hearing.target)
            case Kind.CLIP:
                target = ClipTarget(hearing.target, channel=hearing.channel)
            case _:
                target = VideoTarget(hearing.target, float(hearing.at_seconds or 0))
        if hearing.channel is None and (blacklist.has_clip_broadcasters or blacklist.has_video_owners):
            return True  # it may be a blocked channel's
        owner = None
        if hearing.channel is not None:
            if hearing.channel not in self._channels:
                self._channels[hearing.channel] = await self._request.app[keys.NAMES].current(hearing.channel)
            known = self._channels[hearing.channel]
            number = hearing.channel_id or (None if known is None else known.id)
            owner = None if number is None else Broadcaster(id=number, login=hearing.channel)
        return blacklist.names(target=target, broadcaster=owner)


def _is_decided_about(hearing: Hearing, corrections: Sequence[Correction]) -> bool:
    """Whether plays of the song within the hearing are hidden or corrected."""
    known_by = {hearing.song_id, hearing.isrc}
    return any(
        each.keys & known_by and each.time.since <= hearing.last_heard and each.time.until >= hearing.first_heard
        for each in corrections
    )


async def note_plays(request: web.Request, login: str, plays: Sequence[Play]) -> None:
    """Note plays that were heard before hearings were noted, so that their songs have pages. Never raises."""
    found = [
        Hearing(
            song_id=song_id(play.song),
            isrc=plain_isrc(play.song.isrc),
            kind=Kind.STREAM,
            target=login,
            channel=login,
            channel_id=None,
            identification_id=play.answers[0],
            first_heard=play.first_heard,
            last_heard=play.last_heard,
            broadcast=None,
            at_seconds=None,
        )
        for play in plays
    ]
    await request.app[keys.SONGS].note_missing(found, gap=longest_gap(play.song for play in plays))


async def _described(request: web.Request, identifier: str, heard: Sequence[Hearing]) -> Song | None:
    """The song as its newest answer has it, else as the catalog does; without what only an answer has."""
    # First those that know it by this id: the page of a song keeps its address.
    known = sorted(heard, key=lambda hearing: hearing.song_id != identifier)
    for hearing in known[:_ANSWERS_TRIED]:
        answer = await request.app[keys.JOBS].get(IdentificationId(hearing.identification_id))
        if answer is not None:
            for song in _songs_of(await request.app[keys.SERVICE].shown(answer)):
                if song_id(song) == hearing.song_id:
                    return dataclasses.replace(
                        song, offset_seconds=None, position_seconds=0.0, speed=None, pitch=None
                    )
    return await asyncio.to_thread(request.app[keys.ARTWORK].song, identifier)


def _song_of(answer: Identification, hearing: Hearing) -> Song | None:
    return next((song for song in _songs_of(answer) if song_id(song) == hearing.song_id), None)


def _songs_of(answer: Identification) -> Sequence[Song]:
    return answer.songs or ((answer.song,) if answer.song is not None else ())


async def get(request: web.Request) -> web.Response:
    """A song and a page of where it was heard, newest first."""
    no_unknown_query(request, "limit", "before")
    found = await song_history(
        request,
        limit=query_limit(request, DEFAULT_HEARINGS, MOST_HEARINGS),
        before=query_time(request, "before"),
    )
    body = SongHistoryJson.of(
        found.id, found.song, found.heard, found.next_before, paths=await is_operator(request)
    )
    return revalidated_response(request, body)


ROUTES: Final = (web.get(f"{BASE}/songs/{{id}}", get),)
