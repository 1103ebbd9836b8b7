"""Twitch tokens over HTTP, checked at the simulated id.twitch.tv, and what happens when that fails (A3, A4)."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web
from yarl import URL

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.setting_formats import Secret
from server.access.identity.failed_attempts import MAX_FAILURES
from server.access.identity.limits import INVALID_SECONDS, VALID_SECONDS
from server.access.identity.tokens import TokenValidator
from server.access.identity.turns import AT_ONCE
from simulator.accounts import FOREIGN_APPLICATION, OWN_APPLICATION
from simulator.faults import Fault, FaultKind, Step
from tests.api_client import ASK, CLIP, ServerRules, assert_problem
from tests.fakes import FakeClock
from tests.integration.simulator_client import Viewer

ME = "/api/v1/me"
VIC = "viewer_vic"
CLIENT = OWN_APPLICATION.client_id


@pytest.fixture
def options(viewer: Viewer) -> dict[str, Any]:
    return {"twitch_client_id": CLIENT, "twitch_id_url": URL(viewer.twitch.id_url)}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_whoever_is_signed_in_may_ask_in_login_mode(
    api: ClientSession, viewer: Viewer, rules: ServerRules, caplog: pytest.LogCaptureFixture
) -> None:
    await rules.set(access_mode="login")
    token = viewer.twitch.accounts.token_for(VIC)
    with caplog.at_level(logging.DEBUG):
        assert (await api.post(ASK, json=CLIP, headers=bearer(token))).status in (200, 202)
        me = await (await api.get(ME, headers=bearer(token))).json()
    assert (me["login"], me["known_by"], me["clips"]["allowed"]) == (VIC, "token", True)
    assert token not in caplog.text
    await assert_problem(await api.post(ASK, json=CLIP), "login-required", 401)
    assert (await (await api.get("/api/v1/status")).json())["twitch_client_id"] == CLIENT


async def test_signing_in_is_not_enough_in_subscribers_mode(
    api: ClientSession, viewer: Viewer, rules: ServerRules
) -> None:
    await rules.set(access_mode="subscribers")
    token = viewer.twitch.accounts.token_for(VIC)
    await assert_problem(await api.post(ASK, json=CLIP, headers=bearer(token)), "subscription-required", 403)


async def test_a4_tokens_that_do_not_count_are_refused_by_name(api: ClientSession, viewer: Viewer) -> None:
    accounts = viewer.twitch.accounts
    foreign = accounts.token_for(VIC, client_id=FOREIGN_APPLICATION.client_id)
    await assert_problem(await api.get(ME, headers=bearer(foreign)), "token-wrong-client", 401)
    revoked = accounts.token_for(VIC)
    accounts.revoke(revoked, CLIENT)
    application = accounts.issue(accounts.grant(CLIENT, None, (), 1000))
    odd = ["", "x" * 300, "never-issued", "neverissued", "a b"]
    for token in (revoked, accounts.token_for(VIC, seconds=-1), application, *odd):
        await assert_problem(await api.get(ME, headers=bearer(token)), "token-invalid", 401)


async def test_after_twenty_wrong_tokens_twitch_is_not_asked_about_more_and_known_ones_pass(
    api: ClientSession, viewer: Viewer
) -> None:
    known, new = (bearer(viewer.twitch.accounts.token_for(VIC)) for _ in range(2))
    assert (await api.get(ME, headers=known)).status == 200
    for number in range(20):
        await assert_problem(await api.get(ME, headers=bearer(f"madeup{number}")), "token-invalid", 401)
    asked = len(viewer.twitch.requests.records)
    for headers in (bearer("madeup"), new):
        refused = await api.get(ME, headers=headers)
        await assert_problem(refused, "rate-limited", 429)
        assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (await api.get(ME, headers=known)).status == 200
    assert len(viewer.twitch.requests.records) == asked


async def test_made_up_tokens_that_are_tried_at_the_same_time_count_as_well(
    api: ClientSession, viewer: Viewer
) -> None:
    asked = len(viewer.twitch.requests.records)
    answers = await asyncio.gather(*(api.get(ME, headers=bearer(f"atonce{number}")) for number in range(300)))
    assert {answer.status for answer in answers} == {401, 429}
    assert len(viewer.twitch.requests.records) - asked <= MAX_FAILURES + AT_ONCE


async def test_a3_while_twitch_fails_known_tokens_live_on_and_unknown_ones_wait(
    api: ClientSession, viewer: Viewer
) -> None:
    known = viewer.twitch.accounts.token_for(VIC)
    assert (await api.get(ME, headers=bearer(known))).status == 200
    viewer.twitch.world.faults.set(Fault(step=Step.ID, kind=FaultKind.STATUS, status=503))
    assert (await api.get(ME, headers=bearer(known))).status == 200
    unknown = viewer.twitch.accounts.token_for(VIC)
    problem = await assert_problem(await api.get(ME, headers=bearer(unknown)), "upstream-unavailable", 503)
    assert problem["retry_after_seconds"]


class Twitch:
    """A validate endpoint that counts, and answers what a test says."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.answer: Any = {
            "client_id": CLIENT,
            "login": "Vic",
            "user_id": "7",
            "scopes": None,
            "expires_in": 9_999,
        }

    async def handle(self, _request: web.Request) -> web.Response:
        self.asked += 1
        await self.gate.wait()
        if isinstance(self.answer, web.Response):
            return self.answer
        return web.json_response(self.answer)


@asynccontextmanager
async def validator(twitch: Twitch, clock: FakeClock) -> AsyncGenerator[TokenValidator]:
    app = web.Application()
    app.router.add_get("/oauth2/validate", twitch.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = URL(f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        async with (
            ClientSession() as session,
            TokenValidator(session, id_url=address, client_id=CLIENT, clock=clock) as tokens,
        ):
            yield tokens
    finally:
        await runner.cleanup()


async def test_a3_a_herd_with_one_token_asks_twitch_once_and_again_after_a_while() -> None:
    twitch, clock = Twitch(), FakeClock()
    async with validator(twitch, clock) as tokens:
        users = await asyncio.gather(*(tokens.user(Secret("abc")) for _ in range(500)))
        assert {user.login for user in users} == {"vic"}
        assert twitch.asked == 1
        await clock.advance(VALID_SECONDS - 1)
        await tokens.user(Secret("abc"))
        assert twitch.asked == 1
        twitch.answer = web.json_response({"status": 401, "message": "invalid access token"}, status=401)
        await clock.advance(2)
        with pytest.raises(TwitchAudioError) as caught:
            await tokens.user(Secret("abc"))
        assert caught.value.code == "token-invalid"
        assert twitch.asked == 2


@pytest.mark.parametrize(
    ("expires_in", "believed"), [(5, 5.0), (1, 1.0), (9_999, VALID_SECONDS), (0, VALID_SECONDS)]
)
async def test_a_token_is_believed_no_longer_than_it_lives(expires_in: int, believed: float) -> None:
    twitch, clock = Twitch(), FakeClock()
    twitch.answer["expires_in"] = expires_in
    async with validator(twitch, clock) as tokens:
        await tokens.user(Secret("abc"))
        await clock.advance(believed - 0.5)
        await tokens.user(Secret("abc"))
        assert twitch.asked == 1
        twitch.answer = web.json_response({"status": 401, "message": "invalid access token"}, status=401)
        await clock.advance(1.0)
        with pytest.raises(TwitchAudioError) as caught:
            await tokens.user(Secret("abc"))
        assert caught.value.code == "token-invalid"


async def test_a_refused_token_is_not_asked_about_each_time() -> None:
    twitch, clock = Twitch(), FakeClock()
    twitch.answer["client_id"] = "other"
    async with validator(twitch, clock) as tokens:
        for _ in range(5):
            with pytest.raises(TwitchAudioError, match="another application"):
                await tokens.user(Secret("abc"))
        assert twitch.asked == 1
        await clock.advance(INVALID_SECONDS + 1)
        with pytest.raises(TwitchAudioError):
            await tokens.user(Secret("abc"))
        assert twitch.asked == 2


async def test_who_leaves_while_twitch_is_asked_leaves_the_others_unharmed() -> None:
    twitch, clock = Twitch(), FakeClock()
    twitch.gate.clear()
    async with validator(twitch, clock) as tokens:
        first, second = (asyncio.create_task(tokens.user(Secret("abc"))) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        twitch.gate.set()
        assert (await second).id == "7"
        assert twitch.asked == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b"null", b"[" * 50_000, b"{}", b'{"client_id": 5, "expires_in": 5}', b" " * 100_000,
     b'{"client_id": "x", "expires_in": true}'],
    ids=lambda body: body[:20].decode(),
)  # fmt: skip
async def test_an_answer_that_is_no_answer_is_twitchs_fault_and_lets_nobody_in(body: bytes) -> None:
    twitch, clock = Twitch(), FakeClock()
    twitch.answer = web.Response(body=body)
    async with validator(twitch, clock) as tokens:
        with pytest.raises(TwitchAudioError) as caught:
            await tokens.user(Secret("abc"))
        assert caught.value.code == "upstream-unavailable"
