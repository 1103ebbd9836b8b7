"""What `doctor` says about the public address and about clocks, by what came back."""

from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from yarl import URL

from fingerprint.setting_formats import Secret
from fingerprint.step_report import Outcome
from server import keys
from server.access.identity.session_keys import SessionKeys
from server.api.proxy_probe import ASKED, SEEN, Arrival, answer_probe, read_arrival, sealed_question
from server.proxy_check import AddressReply, check_public_address, judge_arrival, judge_reply
from server.setting_formats import networks
from server.settings import ServerSettings
from server.store_checks import judge_clocks, seconds_apart
from tests.builders import NOON

SITE = URL("https://songs.example/music")
OWN = URL("http://localhost:8080")


@pytest.mark.parametrize(
    ("base", "arrival", "outcome", "said"),
    [
        (SITE, Arrival(peer="10.0.0.2", trusted=True, forwarded="192.0.2.1", others=()), Outcome.OK, "trusted"),
        (
            SITE,
            Arrival(peer="10.0.0.2", trusted=False, forwarded="192.0.2.1", others=()),
            Outcome.FAILED,
            "The proxy at 10.0.0.2 is not in TWITCHAUDIO_TRUSTED_PROXIES",
        ),
        (
            SITE,
            Arrival(peer="10.0.0.2", trusted=True, forwarded=None, others=()),
            Outcome.FAILED,
            "sends no X-Forwarded-For",
        ),
        (
            SITE,
            Arrival(peer="10.0.0.2", trusted=False, forwarded=None, others=()),
            Outcome.FAILED,
            "sends no X-Forwarded-For",
        ),
        (
            SITE,
            Arrival(peer="::1", trusted=True, forwarded=None, others=("Forwarded", "X-Real-IP")),
            Outcome.FAILED,
            "sends Forwarded and X-Real-IP, but not X-Forwarded-For",
        ),
        (OWN, Arrival(peer="127.0.0.1", trusted=False, forwarded=None, others=()), Outcome.OK, "without a proxy"),
        (OWN, Arrival(peer="127.0.0.1", trusted=True, forwarded=None, others=()), Outcome.OK, "without a proxy"),
    ],
)
def test_what_a_proxy_adds_is_judged(base: URL, arrival: Arrival, outcome: Outcome, said: str) -> None:
    found, (note,) = judge_arrival(arrival, base)
    assert found is outcome
    assert said in note


@pytest.mark.parametrize(
    ("reply", "outcome", "said"),
    [
        (
            AddressReply(status=301, location="https://www.songs.example/music/healthz"),
            Outcome.FAILED,
            "leads to https://www.songs.example/music: set TWITCHAUDIO_BASE_URL",
        ),
        (
            AddressReply(status=308, location="https://songs.example:8443/"),
            Outcome.FAILED,
            "leads to https://songs.example:8443/",
        ),
        (
            AddressReply(status=302, location="/elsewhere"),
            Outcome.FAILED,
            "leads to https://songs.example/elsewhere",
        ),
        (AddressReply(status=502), Outcome.FAILED, "does not reach the server: it answers 502"),
        (AddressReply(status=404), Outcome.FAILED, "pass the path on as it is"),
        (AddressReply(status=200), Outcome.FAILED, "not as this server does"),
        (AddressReply(status=200, ours=True), Outcome.DIFFERS, "Another server answers"),
        (AddressReply(status=200, ours=True, seen='{"peer": 1}'), Outcome.DIFFERS, "Another server answers"),
    ],
)
def test_what_answers_at_the_public_address_is_judged(reply: AddressReply, outcome: Outcome, said: str) -> None:
    found, (note,) = judge_reply(reply, SITE)
    assert found is outcome
    assert said in note


async def test_without_a_public_address_or_a_server_nothing_is_asked(tmp_path: Path) -> None:
    assert (await check_public_address(ServerSettings()))[0] is Outcome.SKIPPED
    behind = ServerSettings(trusted_proxies=networks("10.0.0.0/8"), twitch_client_secret=Secret("x"))
    found, (note,) = await check_public_address(behind)
    assert (found, "TWITCHAUDIO_BASE_URL is not set" in note) == (Outcome.DIFFERS, True)


def test_how_a_request_arrived_is_told_to_those_with_the_session_key_alone() -> None:
    own, other = SessionKeys([Secret("a" * 32)]), SessionKeys([Secret("b" * 32)])
    app = web.Application()
    app[keys.PROBE_KEYS] = own
    app[keys.SETTINGS] = ServerSettings(trusted_proxies=networks("10.0.0.0/8"))

    def told(question: str) -> Arrival | None:
        headers = {ASKED: question, "X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1"}
        return read_arrival(answer_probe(make_mocked_request("GET", "/healthz", headers, app=app)).get(SEEN))

    arrival = told(sealed_question(own))
    assert arrival is not None
    assert (arrival.forwarded, arrival.others, arrival.trusted) == ("192.0.2.1", ("X-Real-IP",), False)
    assert told(sealed_question(other)) is None
    assert told(own.seal_cookie(b"{}")) is None
    assert told("\u00e9") is None


@pytest.mark.parametrize(
    ("apart", "outcome"),
    [(0.4, Outcome.OK), (2.5, Outcome.DIFFERS), (20.0, Outcome.FAILED), (3_600, Outcome.FAILED)],
)
def test_a_clock_that_is_apart_from_one_store_is_named(apart: float, outcome: Outcome) -> None:
    found, notes = judge_clocks({"the database server": 0.1, "DynamoDB": apart})
    assert found is outcome
    assert f"{apart:.1f} s apart from DynamoDB's" in notes
    assert ("NTP" in notes[-1]) is (outcome is not Outcome.OK)


def test_a_slow_answer_is_no_wrong_clock() -> None:
    asked, answered = NOON, NOON + timedelta(seconds=5)
    assert seconds_apart(NOON + timedelta(seconds=4), asked, answered) == 0
    assert seconds_apart(NOON + timedelta(seconds=7), asked, answered) == 2
    assert seconds_apart(NOON - timedelta(seconds=3), asked, answered) == 3
    assert seconds_apart(NOON - timedelta(seconds=3), asked, answered, timedelta(seconds=1)) == 2
