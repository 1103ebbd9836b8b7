"""When items expire."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fingerprint.jobs.dynamodb.client import Item
from fingerprint.jobs.dynamodb.items import number

FAILED_STAY: Final = timedelta(days=7)
"""How long failed jobs are kept at most: each question about a made-up channel leaves one, and its seat."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """When items expire, except clips' answers. `keep`: how long they stay; None: for ever, unless they failed."""

    keep: timedelta | None

    def of_item(self, now: datetime) -> Item:
        """The expiry of an item that begins now, unless it becomes a clip's song, which stays."""
        return {} if self.keep is None else _at(now + self.keep)

    def of_failed(self, now: datetime) -> Item:
        """The expiry of a job that has failed now; empty where it expires earlier."""
        return _at(now + FAILED_STAY) if self.keep is None or self.keep > FAILED_STAY else {}

    def of_unanswered(self, now: datetime) -> Item:
        """The expiry of a seat until there is an answer: targets that do not exist leave nothing for long."""
        return _at(now + FAILED_STAY) if self.keep is None else {}


def _at(moment: datetime) -> Item:
    return {"ExpiresAt": number(int(moment.timestamp()))}
