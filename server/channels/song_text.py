"""Answers `song.txt`: starts or joins a job, waits as long as chat bots do, and always returns one line."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from fingerprint.database import Database
from fingerprint.domain.identification import Identification, is_fresh
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, channel_target, earlier
from fingerprint.ports import Clock
from server.access.identity.twitch_user import TwitchUser
from server.access.limit_status import Limit
from server.access.quotas.rate_limits import DAY, MINUTE, RateLimitedError, count_start
from server.access.request_context import RequestContext
from server.access.service import Access, fair_share_key
from server.channel_names import ChannelNames, is_of_another
from server.channels.rules import check_is_on
from server.channels.song_line import check_form, problem_line, song_line, still_listening
from server.channels.song_tokens import SongToken, SongTokenStore
from server.identifications.admission import Admit
from server.identifications.service import IdentificationService

WAIT_SECONDS: Final = 8.0
"""Less than the 10 s after which chat bots give up."""

STARTS_PER_MINUTE: Final = 12
STARTS_PER_DAY: Final = 5_000
"""New identifications that the tokens of one channel may start. Joining a running one is not counted."""

_RECENT_SECONDS: Final = 60.0

_log = logging.getLogger(__name__)


class SongText:
    """Answers a chat bot that asks for a channel's song."""

    def __init__(
        self,
        database: Database,
        *,
        service: IdentificationService,
        access: Access,
        names: ChannelNames,
        clock: Clock,
        asked: Callable[[ChannelTarget, str], None] = lambda _target, _asker: None,
    ) -> None:
        self._asked = asked
        self._service = service
        self._access = access
        self._names = names
        self._clock = clock
        self._tokens = SongTokenStore(database)
        self._database = database

    async def line(
        self,
        context: RequestContext,
        login: str,
        token: str | None,
        seconds: float = WAIT_SECONDS,
        *,
        ago: str = "",
        form: str = "",
    ) -> str:
        """The line for a channel, named as the chat bot wrote it, within `seconds`. Problems become lines, too.

        `ago`: how long ago, as a viewer wrote it; empty for what plays now. `form`: how a song is
        written, see `song_line`; empty for the usual way.
        """
        try:
            check_form(form)
            async with asyncio.timeout(seconds):
                target = earlier(channel_target(login), ago, self._clock.now())
                assert isinstance(target, ChannelTarget), "an earlier moment is the channel's"
                return await self._line(context, target, token, seconds, form)
        except TimeoutError:
            # Something took too long; a job that was started goes on.
            return still_listening(login)
        except TwitchAudioError as error:
            return problem_line(error.problem)
        except Exception:  # noqa: BLE001 - a chat bot shows any other answer as garbage, or not at all
            _log.exception("song_text_crashed")
            return problem_line(Problem(code=ProblemCode.INTERNAL, detail="Something broke on our side."))

    async def _line(
        self, context: RequestContext, target: ChannelTarget, text: str | None, seconds: float, form: str
    ) -> str:
        started = self._clock.monotonic()
        left = lambda: max(0.0, seconds - (self._clock.monotonic() - started) - 0.2)  # noqa: E731
        # A little less than what is left, so that each wait ends before the time limit does.
        if text is None:
            target = replace(target, login=await self._names.current_login(target.login))
            await self._access.check(context, target)
            # One bot asks for many channels from one address.
            limits = _limits(target.login)
            admit: Admit = lambda: self._access.admit(context, target, own_limits=limits)  # noqa: E731
            answer = await self._answer(target, fair_share_key(context), admit, left)
            self._asked(target, fair_share_key(context))
            return song_line(answer, form)
        token = await self._token(context, target, text)
        target, caller = replace(target, login=token.channel), f"song:{token.id}"
        answer = await self._answer(target, caller, lambda: self._admit(token), left)
        self._asked(target, caller)
        if token.channel_id is not None:
            self._names.recheck(token.channel_id)
        if token.channel_id is not None and is_of_another(answer, token.channel_id):
            channel = await self._names.locate(token.channel_id, renamed=True)
            if channel is not None and channel.login != target.login:
                target = replace(target, login=channel.login)
                await check_is_on(self._access, target)
                answer = await self._answer(target, caller, lambda: self._admit(token), left)
        return song_line(answer, form)

    async def _answer(
        self, target: ChannelTarget, caller: str, admit: Admit, left: Callable[[], float]
    ) -> Identification:
        """The answer within what is left of the time, or a recent one for a caller who asks too often."""
        try:
            asked = await self._service.ask(target, caller=caller, admit=admit)
        except RateLimitedError:
            recent = None if target.at is not None else await self._recent(target.login)
            if recent is None:
                raise
            return recent
        return await self._service.wait(asked, left(), source=caller)

    async def _token(self, context: RequestContext, target: ChannelTarget, text: str) -> SongToken:
        """The token for this channel. It is accepted in every access mode, but not for what is switched off.

        A token is also for the earlier logins of its channel, which commands of chat bots still have. Raises
        TwitchAudioError `key-invalid`, and what `check_is_on` raises.
        """
        token = await self._tokens.find(text, now=self._clock.now())
        if token is not None and token.channel != target.login:
            renamed = token.channel_id is not None and await self._names.had(target.login, token.channel_id)
            token = token if renamed else None
        if token is None:
            detail = "this command's token is not valid for this channel. Its owner can make a new one."
            raise TwitchAudioError(ProblemCode.KEY_INVALID, detail)
        # The channel's owner is behind the token, whoever sends it; and a sender may have a name, too.
        users: list[TwitchUser] = []
        if token.channel_id is not None:
            users.append(TwitchUser(id=token.channel_id, login=token.channel, scopes=frozenset()))
        with contextlib.suppress(TwitchAudioError):
            sender = (await self._access.authenticate(context)).user
            users += [] if sender is None else [sender]
        channel = ChannelTarget(token.channel)
        await check_is_on(self._access, channel, address=context.credentials.address, users=users)
        return token

    async def _admit(self, token: SongToken) -> None:
        # By channel, so that a further token is not a further limit.
        channel = token.channel_id or token.channel
        await count_start(self._database, _limits(channel), self._clock.now())

    async def _recent(self, login: str) -> Identification | None:
        """An answer that is at most a minute old, for a token that is used too often."""
        for answer in await self._service.recent_answers(login, limit=1):
            if is_fresh(answer, self._clock.now(), _RECENT_SECONDS):
                return answer
        return None


def _limits(channel: str) -> list[Limit]:
    """How many identifications may be started for a channel's song line."""
    return [
        Limit(f"song:{channel}:minute", STARTS_PER_MINUTE, MINUTE),
        Limit(f"song:{channel}:day", STARTS_PER_DAY, DAY),
    ]
