"""Whose places and limits the start of a job counts against."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from server.access.identity.addresses import Address, counted
from server.access.identity.api_keys import ApiKey
from server.access.identity.twitch_user import TwitchUser
from server.access.quotas.admission import Starter
from server.access.quotas.rate_limits import DAY, MINUTE, Limit
from server.settings import Rate

KEY_JOBS: Final = 5
"""How many jobs at once somebody with an API key may have, unless the key says otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLimits:
    """The operator's numbers. `jobs_per_address` 0: as many at once as they like."""

    jobs_per_address: int = 1
    per_address: Sequence[Rate] = ()
    per_person: Sequence[Rate] = ()


def starter(
    limits: StartLimits, *, key: ApiKey | None, user: TwitchUser | None, address: Address | None
) -> Starter:
    """An API key counts by itself, wherever it is used; others by their address, and as a person if known."""
    if key is not None:
        own = [("minute", key.per_minute, MINUTE), ("day", key.per_day, DAY)]
        return Starter(
            holder=f"key:{key.id}",
            at_once=KEY_JOBS if key.at_once is None else key.at_once,
            limits=[Limit(f"key:{key.id}:{name}", most, length) for name, most, length in own if most is not None],
        )
    found: list[Limit] = []
    if user is not None:
        found += _limits(f"person:{user.id}", limits.per_person)
    if address is None:
        return Starter(limits=found)
    holder = f"address:{counted(address)}"
    found += _limits(holder, limits.per_address)
    if not limits.jobs_per_address:
        return Starter(limits=found)
    return Starter(holder=holder, at_once=limits.jobs_per_address, limits=found)


def _limits(subject: str, rates: Sequence[Rate]) -> list[Limit]:
    return [Limit(f"{subject}:{rate.seconds}", rate.most, rate.seconds) for rate in rates]
