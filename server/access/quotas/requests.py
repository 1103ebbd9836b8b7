"""Decides which slots and rate limits a new job counts against."""

from collections.abc import Sequence
from dataclasses import dataclass

from server.access.identity.addresses import Address, counted, sources_of
from server.access.identity.api_keys import ApiKey
from server.access.identity.twitch_user import TwitchUser
from server.access.limit_status import Limit
from server.access.quotas.admission import QuotaRequest
from server.access.quotas.budgets import WIDER
from server.access.quotas.key_jobs import KEY_JOBS
from server.access.quotas.rate_limits import DAY, MINUTE
from server.setting_formats import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLimits:
    """The operator's limits for job starts. `jobs_per_address` is 0 for no limit of concurrent jobs."""

    jobs_per_address: int = 1
    per_address: Sequence[Rate] = ()
    per_person: Sequence[Rate] = ()


def quota_request(
    limits: StartLimits, *, key: ApiKey | None, user: TwitchUser | None, address: Address | None
) -> QuotaRequest:
    """What a job start counts against: an API key's own limits, or else those of the address and of the user."""
    if key is not None:
        own = [("minute", key.per_minute, MINUTE), ("day", key.per_day, DAY)]
        return QuotaRequest(
            quota_key=f"key:{key.id}",
            max_jobs=KEY_JOBS if key.at_once is None else key.at_once,
            limits=[Limit(f"key:{key.id}:{name}", most, length) for name, most, length in own if most is not None],
        )
    found: list[Limit] = []
    if user is not None:
        found += _limits(f"person:{user.id}", limits.per_person)
    if address is None:
        return QuotaRequest(limits=found)
    quota_key = f"address:{counted(address)}"
    for number, source in enumerate(sources_of(address)):
        found += _limits(f"address:{source}", limits.per_address, WIDER**number)
    if not limits.jobs_per_address:
        return QuotaRequest(limits=found)
    return QuotaRequest(quota_key=quota_key, max_jobs=limits.jobs_per_address, limits=found)


def _limits(subject: str, rates: Sequence[Rate], factor: int = 1) -> list[Limit]:
    return [Limit(f"{subject}:{rate.seconds}", factor * rate.most, rate.seconds) for rate in rates]
