"""The answers of a channel as they are shown, and its set list: what plays leave the server by."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.identification import Identification, IdentificationId, Kind
from fingerprint.job_ports import JobStore
from server.channel_name_table import NameSpan
from server.channel_names import ChannelNames
from server.identifications.limits import ServiceLimits
from server.identifications.set_list import Play, plays
from server.owner_choices.choices import NOTHING_CHOSEN, ChannelChoices, moment_of
from server.owner_choices.service import OwnerChoices

PLAY_REACH: Final = timedelta(hours=6)
"""How long after one of its answers the newest of its play is looked for."""


ANSWER_REACH: Final = timedelta(minutes=10)
"""How long after its sound was broadcast an answer was asked for at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetListPage:
    """Plays, newest first, and `before` of the next page, None on the last page."""

    plays: Sequence[Play]
    next_before: datetime | None


class ChannelHistory:
    """Reads what was heard on channels, under whatever logins they had. Its methods raise TwitchAudioError `busy`.

    What their owners have hidden or corrected is so in all that this gives, unless it says otherwise.
    """

    def __init__(
        self, store: JobStore, *, names: ChannelNames | None, choices: OwnerChoices | None, limits: ServiceLimits
    ) -> None:
        self._store = store
        self._names = names
        self._choices = choices
        self._limits = limits

    async def choices_of(self, login: str) -> ChannelChoices:
        """What is decided about a channel."""
        return NOTHING_CHOSEN if self._choices is None else await self._choices.of(login)

    async def recent_answers(self, login: str, *, limit: int) -> Sequence[Identification]:
        """A channel's newest answers with a song, newest first, under whatever login it had."""
        found: list[Identification] = []
        count, cursor = limit, None
        for _ in range(max(1, self._limits.set_list_answers // self._limits.set_list_page)):
            page = await self._shown(login, limit=count, before=cursor)
            found += [answer for answer in page if answer.song is not None]
            if len(page) < count or len(found) >= limit:
                break
            # Some are hidden.
            count, cursor = self._limits.set_list_page, page[-1].created_at
        return found[:limit]

    async def newest_answers(self, login: str, *, limit: int) -> Sequence[Identification]:
        """The same with the hidden ones, which are without a song."""
        return await self._shown(login, limit=limit)

    async def answers_between(self, login: str, since: datetime, until: datetime) -> Sequence[Identification]:
        """A channel's answers with a song from a time, as they are shown, newest first."""
        found: list[Identification] = []
        cursor = until + ANSWER_REACH
        for _ in range(max(1, self._limits.set_list_answers // self._limits.set_list_page)):
            page = await self._shown(login, limit=self._limits.set_list_page, before=cursor)
            found += [each for each in page if each.song is not None and since <= moment_of(each) <= until]
            if len(page) < self._limits.set_list_page or page[-1].created_at < since:
                break
            cursor = page[-1].created_at
        return found

    async def answers_of_play(self, login: str, answer_id: str) -> Sequence[Identification]:
        """The answers that make up one play of a channel's set list, as they were given, newest first.

        `answer_id`: one of them. Empty when it is not part of the set list.
        """
        answer = await self._store.get(IdentificationId(answer_id))
        if answer is None or answer.kind is not Kind.STREAM or answer.asked_at is not None or answer.song is None:
            return ()
        choices, cursor = await self.choices_of(login), answer.created_at + PLAY_REACH
        given: list[Identification] = []
        while len(given) < self._limits.set_list_answers:
            page = await self._stored(login, limit=self._limits.set_list_page, before=cursor)
            given += page
            for rows in ([choices.shown(each) for each in given], given):
                runs = [play.answers for play in plays(rows)]
                run = next((run for run in runs if answer_id in run), None)
                # A run that the next page may go on with is read to its end.
                if run is not None and (run is not runs[-1] or len(page) < self._limits.set_list_page):
                    return [each for each in given if each.id in run]
            if len(page) < self._limits.set_list_page:
                break
            cursor = page[-1].created_at
        return ()

    async def recorded(self, login: str, answer_id: str) -> Identification | None:
        """An answer about a clip or a VOD of a channel, as it was given; None for others, and without a song."""
        answer = await self._store.get(IdentificationId(answer_id))
        if answer is None or answer.kind not in (Kind.CLIP, Kind.VIDEO) or answer.song is None:
            return None
        channel = None if self._names is None else await self._names.current(login)
        if channel is not None and answer.channel_id is not None:
            return answer if channel.id == answer.channel_id else None
        return answer if answer.channel == login else None

    async def answer(self, answer_id: str) -> Identification | None:
        """An answer as it was given."""
        return await self._store.get(IdentificationId(answer_id))

    async def _shown(self, login: str, *, limit: int, before: datetime | None = None) -> list[Identification]:
        """A channel's answers as they are shown, newest first; of those with hidden songs, without these."""
        found = await self._stored(login, limit=limit, before=before)
        choices = await self.choices_of(login)
        return [choices.shown(answer) for answer in found]

    async def _stored(self, login: str, *, limit: int, before: datetime | None = None) -> list[Identification]:
        spans = () if self._names is None else await self._names.spans(login)
        if not spans:
            return list(await self._store.history(login, limit=limit, before=before))
        found: list[Identification] = []
        for span in spans:
            found += await self._of_span(span, limit=limit, before=before)
        return sorted(found, key=lambda answer: answer.created_at, reverse=True)[:limit]

    async def _of_span(self, span: NameSpan, *, limit: int, before: datetime | None) -> list[Identification]:
        """The newest answers of a channel under one login, without those of another channel that had it."""
        cursor = span.until if before is None else before if span.until is None else min(before, span.until)
        found: list[Identification] = []
        while len(found) < limit:
            page = await self._store.history(span.login, limit=limit, before=cursor)
            found += [answer for answer in page if span.covers(answer)]
            if len(page) < limit or page[-1].created_at < span.since:
                break
            cursor = page[-1].created_at
        return found[:limit]

    async def set_list(self, login: str, *, limit: int, before: datetime | None = None) -> SetListPage:
        """A channel's newest plays among the answers created before `before`, newest first.

        Reads answers until `limit` plays are complete, at most `set_list_answers` of the limits.
        """
        rows: list[Identification] = []
        cursor = before
        while len(rows) < self._limits.set_list_answers:
            page = await self._shown(login, limit=self._limits.set_list_page, before=cursor)
            rows += page
            found = list(itertools.islice(plays(rows), limit + 1))
            if len(page) < self._limits.set_list_page or len(found) > limit:
                return _page(found, limit)
            cursor = page[-1].created_at
        return _page(list(plays(rows)), limit, more=True)


def _page(found: Sequence[Play], limit: int, *, more: bool = False) -> SetListPage:
    shown = found[:limit]
    more = more or len(found) > limit
    return SetListPage(plays=shown, next_before=shown[-1].asked_at if more and shown else None)
