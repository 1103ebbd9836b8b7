"""The time lines of broadcasts: what was heard at which second, in stretches of some minutes."""

import asyncio
import itertools
import json
import logging
from collections.abc import Sequence

from fingerprint.domain.identification import Identification
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.time_line import MAX_SPAN_SECONDS, span_of
from fingerprint.job_ports import MAX_HEARD
from fingerprint.jobs.dynamodb.client import JobTable
from fingerprint.jobs.dynamodb.expiry import Expiry
from fingerprint.jobs.dynamodb.expressions import values_of
from fingerprint.jobs.dynamodb.items import (
    MAX_IN_STRETCH,
    expired,
    heard_of,
    heard_text,
    number,
    stretch_keys,
)
from fingerprint.ports import Clock

_log = logging.getLogger(__name__)


class TimeLines:
    """What was heard in broadcasts, kept in the table of live streams."""

    def __init__(self, table: JobTable, *, clock: Clock, expiry: Expiry) -> None:
        self._table = table
        self._clock = clock
        self._expiry = expiry

    async def heard(self, broadcast: str, start: float, end: float) -> Sequence[Identification]:
        """What was heard between two seconds. Costs one read for each `STRETCH_SECONDS`."""
        keys = stretch_keys(broadcast, start - MAX_SPAN_SECONDS, end)
        items = await asyncio.gather(*map(self._table.get, keys))
        now = self._clock.now()
        found = (answer for item in items if item is None or not expired(item, now) for answer in heard_of(item))
        return list(itertools.islice(found, MAX_HEARD))

    async def add_answer(self, answer: Identification) -> None:
        """Add an answer to its broadcast's time line, as far as there is room; a failure is only logged."""
        span = span_of(answer)
        if span is None:
            return
        (key,) = stretch_keys(span.place.broadcast, span.place.start, span.place.start)
        expiry = self._expiry.of_item(self._clock.now())
        change = "ADD #Heard :heard" + ("".join(f" SET #{name} = :{name}" for name in expiry))
        values = {":heard": {"SS": [heard_text(answer)]}, ":most": number(MAX_IN_STRETCH), **values_of(expiry)}
        when = "attribute_not_exists(#Heard) OR size(#Heard) < :most"
        try:
            await self._table.update(key, change, when=when, values=values)
        except TwitchAudioError:
            _log.warning("time_line_not_written", extra={"job_id": answer.id})

    async def remove_answer(self, answer: Identification | None) -> None:
        """Take an answer out of its broadcast's time line, where it is in one."""
        span = None if answer is None else span_of(answer)
        if span is None:
            return
        (key,) = stretch_keys(span.place.broadcast, span.place.start, span.place.start)
        item = await self._table.get(key)
        texts: list[str] = [] if item is None else item.get("Heard", {}).get("SS", [])
        wrong = [each for each in texts if json.loads(each)["id"] == span.identification]
        if wrong:
            values = {":wrong": {"SS": wrong}}
            await self._table.update(key, "DELETE #Heard :wrong", when="attribute_exists(#Heard)", values=values)
