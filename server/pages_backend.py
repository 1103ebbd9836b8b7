"""What the pages need (`server.web.backend.Backend`), from the services of an application."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from aiohttp import web

from fingerprint.domain.identification import Identification, IdentificationId, Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import TwitchTarget
from fingerprint.settings import Secret
from server import keys
from server.access.identity.credentials import Caller, current_caller
from server.access.service import caller_key
from server.api.openapi import openapi_document
from server.api.reports import file_report
from server.audit.changes import ChangeLog
from server.channels.reports import Reason
from server.channels.song_tokens import SongToken, SongTokenStore
from server.channels.watch import Watch, WatchState
from server.channels.watch_store import WatchStore
from server.identifications.set_list import Play
from server.web.backend import Visitor

MOST_PLAYS: Final = 200
"""Plays of one reading of the store."""

MOST_READINGS: Final = 5
"""Readings for one page: a thousand plays in a day are more than there can be."""


class PagesBackend:
    """The services, as the pages see them."""

    def __init__(self, app: web.Application) -> None:
        self._app = app

    async def ask(self, target: TwitchTarget) -> Identification:
        """Start or join a job, if the caller may."""
        access = self._app[keys.ACCESS]
        principal = await access.check(target)
        asked = await self._app[keys.SERVICE].ask(
            target, caller=caller_key(principal), admit=lambda: access.admit(principal, target)
        )
        return asked.identification

    async def get(self, identification_id: IdentificationId) -> Identification | None:
        """An identification in its current state."""
        asked = await self._app[keys.SERVICE].find(identification_id)
        return None if asked is None else asked.identification

    async def visitor(self) -> Visitor:
        """Who looks, and what they may."""
        access = self._app[keys.ACCESS]
        rules = await access.rules()
        principal = await access.principal()
        streams = await access.refusal(Kind.STREAM, principal)
        clips = await access.refusal(Kind.CLIP, principal)
        return Visitor(
            website=rules.website,
            login=None if principal.user is None else principal.user.login,
            # What is allowed at all is what the page is for.
            refusal=streams if streams is not None and clips is not None else None,
            partly=streams if clips is None else clips if streams is None else None,
            broadcasters=tuple(each.login for each in rules.broadcasters if each.login),
        )

    async def redeem(self, code: str) -> None:
        """Redeem an access code for the caller."""
        await self._app[keys.ACCESS].redeem(code)

    async def unavailable(self) -> str | None:
        """What is missing to recognize music."""
        return await self._app[keys.SERVICE].unavailable()

    async def plays(self, login: str, *, since: datetime | None, before: datetime | None) -> Sequence[Play]:
        """A channel's plays, newest first: those heard within a time, or the newest."""
        service = self._app[keys.SERVICE]
        found: list[Play] = []
        for _ in range(MOST_READINGS):
            page = await service.set_list(login, limit=MOST_PLAYS, before=before)
            found += page.plays
            before = page.next_before
            if since is None or before is None or before < since:
                break
        return found if since is None else [play for play in found if play.last_heard >= since]

    async def watch(self, login: str) -> Watch | None:
        """A channel's watch, while it runs."""
        watch = await WatchStore(self._app[keys.DATABASE]).get(login)
        return watch if watch is not None and watch.state is WatchState.RUNNING else None

    async def report(self, identification_id: str, reason: str, note: str) -> None:
        """Say that an answer is wrong."""
        await file_report(self._app, identification_id, reason=Reason(reason), note=note)

    # --- For a channel's owner ----------------------------------------------------------------------------

    async def song_tokens(self, login: str) -> Sequence[SongToken] | None:
        """The channel's valid tokens for chat bots, if the caller is its owner."""
        owner = await self._owner(login)
        if owner is None:
            return None
        tokens = await SongTokenStore(self._app[keys.DATABASE]).all(login)
        return [token for token in tokens if token.revoked_at is None]

    async def make_song_token(self, login: str, note: str) -> Secret:
        """Make a token; its text is given this once."""
        store, owner = await self._owned_tokens(login)
        _, secret = await store.create(login, now=self._app[keys.CLOCK].now(), note=note, made_by=owner)
        return secret

    async def revoke_song_token(self, login: str, token_id: str) -> None:
        """Make a token invalid for good."""
        store, _ = await self._owned_tokens(login)
        await store.revoke(token_id, now=self._app[keys.CLOCK].now(), channel=login)

    async def _owner(self, login: str) -> str | None:
        user = (await self._app[keys.ACCESS].principal()).user
        return f"user:{user.id}" if user is not None and user.login == login else None

    async def _owned_tokens(self, login: str) -> tuple[SongTokenStore, str]:
        owner = await self._owner(login)
        if owner is None:
            detail = "Only the channel's owner, signed in with Twitch, manages its tokens."
            raise TwitchAudioError(ProblemCode.FORBIDDEN, detail)
        principal = await self._app[keys.ACCESS].principal()
        changes = ChangeLog(principal.who((current_caller.get(None) or Caller()).address))
        return SongTokenStore(self._app[keys.DATABASE], changes=changes), owner

    def openapi(self) -> Mapping[str, Any]:
        """The OpenAPI document."""
        return openapi_document()
