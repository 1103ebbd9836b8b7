"""How Twitch is called: the allowed hosts, and the headers of requests."""

from typing import Final

from fingerprint.circuit_breaker import HostCircuitBreakers
from fingerprint.clock import SystemClock
from fingerprint.media.fetch import Fetcher
from fingerprint.media.host_pauses import HostPauses
from fingerprint.media.hosts import AllowList
from fingerprint.ports import Clock, OnOutcome, ignore_outcome
from fingerprint.settings import TwitchSettings

# Twitch refuses some requests from unknown user agents.
_HEADERS: Final = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}


def twitch_allow_list(settings: TwitchSettings) -> AllowList:
    """The hosts that are called to resolve targets: gql and usher, at their configured addresses."""
    return AllowList.of_origins((settings.gql_url, settings.usher_url))


def twitch_fetcher(
    allow: AllowList,
    *,
    breakers: HostCircuitBreakers | None = None,
    on_outcome: OnOutcome = ignore_outcome,
    clock: Clock | None = None,
) -> Fetcher:
    """A fetcher that names Twitch in its error messages, sends a browser's headers and keeps the pauses that hosts
    ask for, by `clock`.
    """
    return Fetcher(
        allow,
        upstream="Twitch",
        headers=_HEADERS,
        breakers=breakers,
        pauses=HostPauses(clock or SystemClock()),
        on_outcome=on_outcome,
    )
