"""What is decided about channels, as the servers apply it: read by channel, and about as old as rules may be."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final

from fingerprint.database import Database
from fingerprint.domain.identification import Identification, Kind
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.ports import Clock
from fingerprint.single_flight import SingleFlightCache
from fingerprint.tasks import Closing
from server.channel_names import ChannelNames
from server.owner_choices.choices import NOTHING_CHOSEN, ChannelChoices, moment_of
from server.owner_choices.store import ChoiceStore

CHOICES_SECONDS: Final = 1.0
"""How old they may be: another server shows what is decided here after so long."""

ANSWER_SECONDS: Final = 2.0
"""How long an answer waits for them, while the database cannot be reached."""

MAX_CHANNELS: Final = 2_000


class OwnerChoices(Closing):
    """Reads what is decided about channels. An async context manager that owns the reads under way."""

    def __init__(self, database: Database, names: ChannelNames, *, clock: Clock) -> None:
        self._store = ChoiceStore(database)
        self._names = names
        self._channels: SingleFlightCache[str, ChannelChoices] = SingleFlightCache(
            clock=clock, fresh_seconds=lambda _: CHOICES_SECONDS, max_entries=MAX_CHANNELS
        )

    async def close(self) -> None:
        await self._channels.close()

    async def of(self, login: str) -> ChannelChoices:
        """What is decided about the channel that a login leads to. Raises TwitchAudioError `busy`."""
        known = self._channels.fresh(login)
        return known or await self._channels.get(login, lambda: self._read(login))

    def expect(self, login: str) -> None:
        """Begin to read what is decided about a channel, as an answer about it will soon be shown."""
        self._channels.begin(login, lambda: self._read(login))

    async def corrected_among(self, logins: Collection[str]) -> frozenset[str]:
        """Those of the channels that have corrections. Raises TwitchAudioError `busy`."""
        return await self._store.corrected_among(logins) if logins else frozenset()

    async def _read(self, login: str) -> ChannelChoices:
        return await self._store.read(login, await self.id_of(login), self._channels.last(login))

    async def id_of(self, login: str) -> str | None:
        """The id of the channel that a login leads to, where it is known. Raises TwitchAudioError `busy`."""
        found = await self._names.current(login)
        return None if found is None else found.id

    def changed(self, login: str) -> None:
        """Read a channel's again at once, after a change on this server."""
        self._channels.invalidate(login)

    async def shown(self, answer: Identification) -> Identification:
        """The answer as it is shown. Never raises: while nothing can be read, what was read last counts."""
        login = answer.target if answer.kind is Kind.STREAM else answer.channel
        if answer.song is None or login is None:
            return answer
        choices = self._channels.fresh(login)
        if choices is None:
            last = self._channels.last(login) or NOTHING_CHOSEN
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    choices = await self.of(login)
            except (TwitchAudioError, TimeoutError):
                choices = last
        return choices.shown(answer)

    async def heard(self, answer: Identification) -> None:
        """A job has ended: a corrected play of its song goes on, and those of others end. Never raises."""
        if answer.kind is not Kind.STREAM or answer.asked_at is not None or answer.song is None:
            return
        with contextlib.suppress(TwitchAudioError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                choices = await self.of(answer.target)
                if any(each.time.going_on for each in choices.corrections):
                    channel_id = await self.id_of(answer.target)
                    await self._store.heard_on(answer.target, channel_id, answer.song, moment_of(answer))
                    self.changed(answer.target)
