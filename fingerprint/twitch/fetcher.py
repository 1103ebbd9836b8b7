"""How Twitch is called: the allowed hosts, and the headers of requests."""

from collections.abc import Mapping
from typing import Final

from fingerprint.circuit_breaker import HostCircuitBreakers
from fingerprint.clock import SystemClock
from fingerprint.media.fetch import Fetcher
from fingerprint.media.host_pauses import HostPauses
from fingerprint.media.hosts import AllowList
from fingerprint.media.unknown_signs import UnknownSigns
from fingerprint.ports import Clock, OnOutcome, OnUnknown, ignore_outcome, ignore_unknown
from fingerprint.setting_formats import DEFAULT_USER_AGENT
from fingerprint.upstream_settings import TwitchSettings

PAGE_HEADERS: Final[Mapping[str, str]] = {
    "Accept-Language": "en-US,en;q=0.5",
    "Origin": "https://www.twitch.tv",
    "Referer": "https://www.twitch.tv/",
    "Sec-Fetch-Dest": "empty",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Site": "cross-site",
}
"""What a browser adds to requests of the page of a stream, from gql to the segments, which other hosts answer."""

SAME_SITE: Final[Mapping[str, str]] = {"Sec-Fetch-Site": "same-site"}
"""The same for hosts below twitch.tv, such as gql's."""


def twitch_allow_list(settings: TwitchSettings) -> AllowList:
    """The hosts that are called to resolve targets: gql and usher, at their configured addresses."""
    return AllowList.of_origins((settings.gql_url, settings.usher_url))


def twitch_fetcher(
    allow: AllowList,
    *,
    user_agent: str = DEFAULT_USER_AGENT,
    breakers: HostCircuitBreakers | None = None,
    on_outcome: OnOutcome = ignore_outcome,
    on_unknown: OnUnknown = ignore_unknown,
    clock: Clock | None = None,
) -> Fetcher:
    """A fetcher that names Twitch in its error messages and a browser in its requests.

    Twitch refuses some requests from unknown user agents. The fetcher keeps the pauses that hosts ask for, by
    `clock`, and counts what is unknown.
    """
    clock = clock or SystemClock()
    return Fetcher(
        allow,
        upstream="Twitch",
        headers={"User-Agent": user_agent, **PAGE_HEADERS},
        breakers=breakers,
        pauses=HostPauses(clock),
        unknown_signs=UnknownSigns(on_unknown, clock),
        on_outcome=on_outcome,
    )
