"""One client that floods, and the others (L4, L6)."""

import asyncio
import time
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.settings import Rate
from tests.api_client import ASK, open_api
from tests.fakes import FakePipeline

BEHIND: dict[str, Any] = {"trusted_proxies": (ip_network("127.0.0.0/8"),)}


async def asked(api: ClientSession, channel: str, address: str) -> tuple[int, float]:
    started = time.monotonic()
    headers = {"X-Forwarded-For": address, "Prefer": "wait=10"}
    answer = await api.post(ASK, json={"clip": channel}, headers=headers)
    await answer.read()
    return answer.status, time.monotonic() - started


async def test_l6_who_floods_is_refused_and_others_are_served(sql_address: str, tmp_path: Path) -> None:
    limits: dict[str, Any] = {**BEHIND, "jobs_per_address": 0, "starts_per_address": (Rate(20, 86_400),)}
    async with open_api(FakePipeline(SystemClock()), tmp_path, database_url=sql_address, **limits) as api:
        for number in range(20):
            assert (await asked(api, f"First-{number}", "198.51.100.7"))[0] == 200
        assert (await asked(api, "Once-more", "198.51.100.7"))[0] == 429
        flood = [asked(api, f"Flood-{number}", "198.51.100.7") for number in range(300)]
        others = [asked(api, f"Other-{number}", f"192.0.2.{number}") for number in range(1, 6)]
        answers = await asyncio.gather(*flood, *others)
        statuses = [status for status, _ in answers]
        # Beyond their share of the queue they are told that it is too much.
        assert set(statuses[:300]) <= {429, 503}
        assert statuses[300:] == [200] * 5


async def test_l4_a_failure_that_everyone_asks_about_again_is_looked_up_once_in_a_while(tmp_path: Path) -> None:
    parts = FakePipeline(SystemClock())
    parts.resolver.error = TwitchAudioError(ProblemCode.CLIP_NOT_FOUND, "There is no such clip.")
    async with open_api(parts, tmp_path) as api:
        for _ in range(3):
            answers = await asyncio.gather(*(asked(api, "Gone-1", "192.0.2.1") for _ in range(50)))
            assert {status for status, _ in answers} == {200}
        assert len(parts.resolver.asked) == 1
