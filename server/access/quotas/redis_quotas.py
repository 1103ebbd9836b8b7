"""Slots and counted starts in Redis or Valkey: a hash for each quota key, a number for each limit and window.

Each step is one script, which Redis runs without interruption. The keys of one script may be anywhere, so this is
for one server or a primary with replicas, not for a Redis Cluster. Everything expires by itself.
"""

import dataclasses
import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from fingerprint.database import from_us, to_us
from fingerprint.domain.identification import Kind
from fingerprint.domain.targets import AskedTarget, VideoTarget
from server.access.limit_status import LimitStatus
from server.access.quotas.rate_limits import RateLimitedError, Refund, status_of, window_start
from server.access.quotas.slots import SLOT_FOR, AllTakenError, SharedError, Slot, slot_target
from server.access.quotas.store import QuotaRequest
from server.redis_link import RedisLink

if TYPE_CHECKING:
    from redis.asyncio import Redis

SLOTS: Final = "twitchaudio:slots:"
STARTS: Final = "twitchaudio:starts:"

_TAKE: Final = """
local now, most, released = tonumber(ARGV[1]), tonumber(ARGV[2]), cjson.decode(ARGV[5])
local number = -1
if most >= 0 then
  local rows, held, taken = redis.call('HGETALL', KEYS[1]), {}, {}
  for i = 1, #rows, 2 do
    local row = cjson.decode(rows[i + 1])
    if row.expires_us > now and not released[row.token] then
      if row.key == ARGV[3] then return {'shared'} end
      held[rows[i]] = true
      table.insert(taken, rows[i])
      table.insert(taken, rows[i + 1])
    end
  end
  for n = 0, most - 1 do
    if not held[tostring(n)] then number = n break end
  end
  if number < 0 then return {'taken', unpack(taken)} end
end
local used, exceeded = {}, false
for i = 2, #KEYS do
  used[i - 1] = tonumber(redis.call('GET', KEYS[i]) or '0') + 1
  if used[i - 1] > tonumber(ARGV[2 * i + 3]) then exceeded = true end
end
if exceeded then return {'limited', unpack(used)} end
for i = 2, #KEYS do
  redis.call('INCR', KEYS[i])
  redis.call('PEXPIRE', KEYS[i], ARGV[2 * i + 4])
end
if most >= 0 then
  redis.call('HSET', KEYS[1], tostring(number), ARGV[4])
  redis.call('PEXPIRE', KEYS[1], ARGV[6])
end
return {'ok', number, unpack(used)}
"""
"""KEYS: the slots' hash, then counters. ARGV: now, how many slots (-1: none is asked for), the target's key, the
slot's row, released tokens, how long rows live; then for each counter its limit and how long it lives.
"""

_GIVE_BACK: Final = """
local row = redis.call('HGET', KEYS[1], ARGV[1])
if row and cjson.decode(row).token == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""

_REFUND: Final = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
return 0
"""


class RedisQuotas:
    """The quota store in Redis. Its methods raise RedisAwayError while Redis is away."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def take(
        self, request: QuotaRequest, target: AskedTarget, now: datetime, *, released: Collection[str] = ()
    ) -> tuple[Slot | None, Sequence[LimitStatus]]:
        key, limits, moment = request.quota_key, request.limits, to_us(now)
        slot = Slot(quota_key=key or "", number=0, token=secrets.token_hex(8), target=target, taken_at=now)
        counters = [_counter(limit.subject, window_start(limit, now)) for limit in limits]
        arguments: list[str | int] = [
            moment,
            -1 if key is None else request.max_jobs,
            target.key,
            _row(slot),
            json.dumps(dict.fromkeys(released, True)),
            2 * int(SLOT_FOR.total_seconds() * 1000),
        ]
        for limit in limits:
            ends_us = window_start(limit, now) + limit.seconds * 1_000_000
            arguments += [limit.most, (ends_us - moment) // 1000 + 1000]

        async def run(client: "Redis") -> list[Any]:
            return await client.register_script(_TAKE)(keys=[SLOTS + (key or ""), *counters], args=arguments)

        outcome, *rest = await self._link.call(run)
        match outcome:
            case "shared":
                raise SharedError
            case "taken":
                numbers, rows = rest[::2], rest[1::2]
                raise AllTakenError([_slot(key or "", n, row) for n, row in zip(numbers, rows, strict=True)])
            case "limited":
                statuses = [status_of(limit, used, now) for limit, used in zip(limits, rest, strict=True)]
                longest = max((each for each in statuses if each.left < 0), key=lambda each: each.reset_seconds)
                raise RateLimitedError(replace(longest, left=0))
            case _:
                number, *counts = rest
                statuses = [status_of(limit, used, now) for limit, used in zip(limits, counts, strict=True)]
                return None if key is None else dataclasses.replace(slot, number=int(number)), statuses

    async def give_back(self, freed: Sequence[Slot], refunds: Sequence[Refund]) -> None:
        async def run(client: "Redis") -> None:
            pipeline = client.pipeline(transaction=False)
            for slot in freed:
                pipeline.eval(_GIVE_BACK, 1, SLOTS + slot.quota_key, str(slot.number), slot.token)
            for each in (status for refund in refunds for status in refund.statuses):
                pipeline.eval(_REFUND, 1, _counter(each.limit.subject, each.start_us))
            await pipeline.execute()

        await self._link.call(run)


def _counter(subject: str, start_us: int) -> str:
    return f"{STARTS}{start_us}:{subject}"


def _row(slot: Slot) -> str:
    return json.dumps(
        {
            "token": slot.token,
            "key": slot.target.key,
            "kind": str(slot.target.kind),
            "name": slot.target.name,
            "at": slot.target.at_seconds if isinstance(slot.target, VideoTarget) else None,
            "taken_us": to_us(slot.taken_at),
            "expires_us": to_us(slot.taken_at + SLOT_FOR),
        }
    )


def _slot(quota_key: str, number: str, text: str) -> Slot:
    row: dict[str, Any] = json.loads(text)
    return Slot(
        quota_key=quota_key,
        number=int(number),
        token=row["token"],
        target=slot_target(Kind(row["kind"]), row["name"], row["at"]),
        taken_at=from_us(row["taken_us"]),
    )
