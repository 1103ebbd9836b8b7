"""The songs that were named last on live channels, for the start page, where the operator shows them.

They are the same for every visitor: read once for all, and at most `MAX_SONGS`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from aiohttp import web

from fingerprint.domain.identification import Identification, IdentificationId, Song
from fingerprint.domain.landmark_points import drawing_path
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.songs import song_id
from fingerprint.single_flight import SingleFlightCache
from server import keys
from server.owner_choices.choices import Visibility
from server.songs.hearings import Hearing

MAX_SONGS: Final = 6
FRESH_SECONDS: Final = 10.0
"""How long a list is shown again."""

_READ: Final = 60
"""How many of the newest hearings are looked at: one song may be heard on many channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentSong:
    """A song as the list shows it. `page` and `cover` are paths of ours."""

    page: str
    title: str
    artists: str
    cover: str
    channel: str
    heard_at: datetime
    heard_in: Identification
    """The answer that said so, as it was given."""


class RecentSongs:
    """The list of one server, made again when it is old or a rule has changed."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._lists: SingleFlightCache[str, Sequence[RecentSong]] = SingleFlightCache(
            clock=app[keys.CLOCK], fresh_seconds=FRESH_SECONDS, failure_seconds=FRESH_SECONDS, max_entries=2
        )

    async def newest(self) -> Sequence[RecentSong]:
        """The newest songs, each once; none while the operator shows none. Raises TwitchAudioError `busy`."""
        rules = await self._app[keys.ACCESS].rules()
        if not rules.website.recent_songs:
            return ()
        found = self._lists.fresh(rules.version) or await self._lists.get(rules.version, self._read)
        return [song for song in found if await self._is_shown(song)]

    async def _is_shown(self, song: RecentSong) -> bool:
        """Whether the channel's owner has it shown, which may have changed since the list was made."""
        choices = await self._app[keys.CHOICES].of(song.channel)
        shown = choices.shown(song.heard_in)
        named = shown.songs or (() if shown.song is None else (shown.song,))
        public = choices.visibility is Visibility.SET_LIST
        return public and any(f"/songs/{song_id(each)}" == song.page for each in named)

    async def close(self) -> None:
        """End what is being read."""
        await self._lists.close()

    async def _read(self) -> Sequence[RecentSong]:
        found: dict[str, RecentSong] = {}
        for hearing in await self._app[keys.SONGS].newest_live(limit=_READ):
            if len(found) == MAX_SONGS:
                break
            if hearing.song_id in found or not await self._may_be_shown(hearing):
                continue
            if (await self._app[keys.CHOICES].of(hearing.target)).visibility is not Visibility.SET_LIST:
                continue
            answer = await self._app[keys.JOBS].get(IdentificationId(hearing.identification_id))
            if answer is None:
                continue
            song = _song_of(await self._app[keys.SERVICE].shown(answer), hearing)
            if song is not None:
                found[hearing.song_id] = _recent(song, hearing, answer)
        return tuple(found.values())

    async def _may_be_shown(self, hearing: Hearing) -> bool:
        try:
            await self._app[keys.ACCESS].check_channel(hearing.target)
        except TwitchAudioError as error:
            if error.code is ProblemCode.BLACKLISTED:
                return False
            raise
        return True


def _song_of(answer: Identification, hearing: Hearing) -> Song | None:
    songs = answer.songs or (() if answer.song is None else (answer.song,))
    return next((song for song in songs if song_id(song) == hearing.song_id), None)


def _recent(song: Song, hearing: Hearing, answer: Identification) -> RecentSong:
    smallest = min(song.artwork, key=lambda each: each.width, default=None)
    return RecentSong(
        page=f"/songs/{hearing.song_id}",
        title=song.title,
        artists=", ".join(song.artists),
        cover=drawing_path(song) if smallest is None else smallest.url,
        channel=hearing.target,
        heard_at=hearing.last_heard,
        heard_in=answer,
    )
