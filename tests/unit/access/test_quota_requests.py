"""Whose places and limits a start counts against."""

import pytest

from fingerprint.settings import SettingsError, read_settings
from server.access.identity.addresses import counted, parse_address
from server.access.identity.api_keys import ApiKey
from server.access.identity.credentials import RequestCredentials
from server.access.identity.principal import ANONYMOUS
from server.access.identity.twitch_user import TwitchUser
from server.access.quotas.key_jobs import KEY_JOBS
from server.access.quotas.rate_limits import Limit
from server.access.quotas.requests import StartLimits, quota_request
from server.access.request_context import RequestContext
from server.access.service import fair_share_key
from server.channels.reports import reporter
from server.setting_formats import Rate
from server.settings import ServerSettings
from tests.builders import NOON, identification

LIMITS = StartLimits(jobs_per_address=2, per_address=[Rate(10, 60)], per_person=[Rate(5, 60), Rate(50, 86_400)])
HOME = parse_address("192.0.2.7")
VIC = TwitchUser(id="77", login="vic", scopes=frozenset())


def key(**more: int | None) -> ApiKey:
    numbers: dict[str, int | None] = {"per_minute": None, "per_day": None, "at_once": None, **more}
    return ApiKey(
        id="abc", shown="ta_", name="a bot", scopes=frozenset(), created_at=NOON, expires_at=None,
        revoked_at=None, used_at=None, **numbers,
    )  # fmt: skip


def test_an_address_counts_for_whoever_is_unknown() -> None:
    found = quota_request(LIMITS, key=None, user=None, address=HOME)
    assert (found.quota_key, found.max_jobs) == ("address:192.0.2.7", 2)
    assert found.limits == [Limit("address:192.0.2.7:60", 10, 60)]


def test_an_ipv6_customer_with_many_networks_counts_as_well() -> None:
    found = quota_request(LIMITS, key=None, user=None, address=parse_address("2001:db8:0:7::1"))
    assert found.quota_key == "address:2001:db8:0:7::/64"
    assert found.limits == [
        Limit("address:2001:db8:0:7::/64:60", 10, 60),
        Limit("address:2001:db8::/56:60", 40, 60),
    ]


def test_a_person_counts_besides_their_address() -> None:
    found = quota_request(LIMITS, key=None, user=VIC, address=HOME)
    assert found.quota_key == "address:192.0.2.7"
    assert {limit.subject for limit in found.limits} == {"person:77:60", "person:77:86400", "address:192.0.2.7:60"}


def test_a_key_counts_by_itself_wherever_it_is_used() -> None:
    found = quota_request(LIMITS, key=key(per_minute=3, per_day=9), user=None, address=HOME)
    assert (found.quota_key, found.max_jobs) == ("key:abc", KEY_JOBS)
    assert found.limits == [Limit("key:abc:minute", 3, 60), Limit("key:abc:day", 9, 86_400)]
    assert quota_request(LIMITS, key=key(at_once=1), user=None, address=None).max_jobs == 1


def test_without_numbers_nothing_counts() -> None:
    found = quota_request(StartLimits(jobs_per_address=0), key=None, user=VIC, address=HOME)
    assert (found.quota_key, found.limits) == (None, [])
    assert quota_request(LIMITS, key=None, user=None, address=None).quota_key is None


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
    ],
)
def test_an_ipv6_address_counts_with_its_64(address: str, place: str) -> None:
    parsed = parse_address(address)
    assert parsed is not None
    assert counted(parsed) == place


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("60/minute, 2000/day", (Rate(60, 60), Rate(2_000, 86_400))),
        ("1/second", (Rate(1, 1),)),
        ("9 / hour", (Rate(9, 3_600),)),
        ("none", ()),
    ],
)
def test_limits_are_written_as_people_say_them(text: str, rates: tuple[Rate, ...]) -> None:
    read = read_settings(ServerSettings, {"TWITCHAUDIO_STARTS_PER_ADDRESS": text})
    assert read.starts_per_address == rates


@pytest.mark.parametrize(
    "wrong", ["60", "60/week", "0/minute", "-1/day", "1/minute, 2/minute", "x/day", "/", "1.5/day"]
)
def test_limits_that_mean_nothing_stop_the_start_in_one_line(wrong: str) -> None:
    with pytest.raises(SettingsError, match=r"TWITCHAUDIO_STARTS_PER_PERSON=.* takes comma-separated limits"):
        read_settings(ServerSettings, {"TWITCHAUDIO_STARTS_PER_PERSON": wrong})


def test_waiting_jobs_of_one_ipv6_customer_take_turns_with_those_of_others_as_one() -> None:
    def key(text: str) -> str:
        context = RequestContext(credentials=RequestCredentials(address=parse_address(text)))
        context.authenticated = ANONYMOUS
        return fair_share_key(context)

    assert {key(f"2001:db8:0:{net:x}::1") for net in range(256)} == {"2001:db8::/56"}
    assert key("2001:db8:0:100::1") != key("2001:db8::1")
    assert key("::ffff:192.0.2.7") == key("192.0.2.7") != key("192.0.2.8")


def test_reports_of_one_ipv6_network_count_together() -> None:
    found = {reporter(ANONYMOUS, parse_address(f"2001:db8::{host:x}"), identification()) for host in range(20)}
    assert len(found) == 1
    # They are reports of two; but a customer's 256 networks share what one may report in a day.
    (known,) = found
    another = reporter(ANONYMOUS, parse_address("2001:db8:0:1::1"), identification())
    assert another[0] != known[0]
    assert another[1] == known[1] == "address:2001:db8::/56"
    assert reporter(ANONYMOUS, parse_address("2001:db8:0:100::1"), identification())[1] != known[1]
