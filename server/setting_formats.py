"""The forms of the server's settings: each parses a variable's text, or raises ValueError."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from yarl import URL

from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import TwitchTarget, name_from, parse_target
from fingerprint.domain.web_addresses import read_address
from fingerprint.setting_formats import Format, Secret, base_url, whole_number, words

_FUNCTION_NAME: Final = re.compile(r"[A-Za-z0-9_:-]{1,170}", re.ASCII)


def networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """Parse comma-separated networks and addresses. Raises ValueError."""
    return tuple(ip_network(word, strict=False) for word in words(text))


def client_id(text: str) -> str:
    """Check that a Twitch client id consists of ASCII letters and digits. Raises ValueError."""
    if not text.isascii() or not text.isalnum():
        raise ValueError(text)
    return text


KEY_LENGTH: Final = 32
"""Minimum length of a session key, in characters."""

_HOST: Final = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,251}[a-z0-9])?|[0-9a-f:.]{2,45}")
_USER: Final = re.compile(r"id:[0-9]{1,20}|[a-z0-9_]{1,25}")


PATH_PREFIX: Final = re.compile(r"(?:/[A-Za-z0-9_~][A-Za-z0-9._~-]{0,63}){0,4}", re.ASCII)
"""The path of the website's address: up to four names that look the same in every program's spelling."""

OWN_PATHS: Final = frozenset(
    {
        *("admin", "api", "channels", "docs", "healthz", "login", "logout", "metrics", "overlay", "readyz"),
        *("redeem", "reports", "songs", "static", "videos", "webhooks"),
        *("extension", "extension.zip", "finds", "privacy"),
        *("apple-touch-icon.png", "c", "cards", "covers", "favicon.ico", "manifest.webmanifest", "robots.txt"),
    }
)
"""What paths of ours begin with; a prefix that does, too, could not be told from them."""


def public_url(text: str) -> URL:
    """Parse an address: https, or http on a loopback address, since Twitch allows no other.

    It may have a path, the website's prefix; the result has no slash at its end. Raises ValueError.
    """
    url = base_url(text)
    prefix = url.raw_path.rstrip("/")
    if url.scheme == "http" and not is_loopback(url.host or ""):
        raise ValueError(text)
    if PATH_PREFIX.fullmatch(prefix) is None or prefix.partition("/")[2].partition("/")[0] in OWN_PATHS:
        raise ValueError(text)
    return url.origin().with_path(prefix) if prefix else url.origin()


def is_loopback(host: str) -> bool:
    """Whether a host's name is one of this machine's own addresses."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def admins(text: str) -> tuple[str, ...]:
    """Parse comma-separated Twitch logins, addresses of channels and `id:NUMBER`. Raises ValueError."""
    found = tuple(name_from(word) for word in words(text.lower()))
    if not all(_USER.fullmatch(word) for word in found):
        raise ValueError(text)
    return found


def session_keys(text: str) -> tuple[Secret, ...]:
    """Parse comma-separated keys of at least `KEY_LENGTH` characters, the current one first. Raises ValueError."""
    found = words(text)
    if any(len(word) < KEY_LENGTH for word in found):
        raise ValueError("too short")
    return tuple(Secret(word) for word in found)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `most` job starts in each window of `seconds`."""

    most: int
    seconds: int


_UNITS: Final = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


def rates(text: str) -> tuple[Rate, ...]:
    """Parse comma-separated limits such as 60/minute, at most one for each unit, or `none`. Raises ValueError."""
    if text == "none":
        return ()
    found: list[Rate] = []
    for word in words(text):
        most, _, unit = word.partition("/")
        found.append(Rate(whole_number(1, 1_000_000).parse(most.strip()), _UNITS.get(unit.strip(), 0)))
    if not all(rate.seconds for rate in found) or len({rate.seconds for rate in found}) < len(found):
        raise ValueError(text)
    return tuple(found)


RATES: Final = Format(
    rates, "comma-separated limits such as 60/minute, 2000/day (second, minute, hour, day), or none"
)


_REDIS: Final = re.compile(r"rediss?://(?:[^\s/?#]*@)?[^\s/?#@]+(?:/[0-9]{0,3})?|unix:///\S+")


def redis_url(text: str) -> Secret:
    """Check the form of an address of Redis. Raises ValueError."""
    if _REDIS.fullmatch(text) is None:
        raise ValueError("not an address of Redis")
    return Secret(text)


def canary(text: str) -> tuple[TwitchTarget, ...]:
    """Parse comma-separated targets, at most one of each kind. Raises ValueError."""
    try:
        targets = tuple(parse_target(word) for word in words(text))
    except TwitchAudioError as error:
        raise ValueError(error.detail) from error
    if len({target.kind for target in targets}) < len(targets):
        raise ValueError(text)
    return targets


MAX_EXAMPLES: Final = 6


def examples(text: str) -> tuple[TwitchTarget, ...]:
    """Parse at most `MAX_EXAMPLES` comma-separated targets. Raises ValueError."""
    try:
        targets = tuple(parse_target(word) for word in words(text))
    except TwitchAudioError as error:
        raise ValueError(error.detail) from error
    if len(targets) > MAX_EXAMPLES:
        raise ValueError(text)
    return targets


def origins(text: str) -> tuple[str, ...]:
    """Parse comma-separated origins as browsers write them: scheme, host, and maybe a port. Raises ValueError."""
    found: list[str] = []
    for word in words(text):
        url = read_address(word)
        if url.scheme not in ("http", "https") or not _HOST.fullmatch(url.raw_host or ""):
            raise ValueError(word)
        if url.raw_user is not None or url.raw_password is not None:
            raise ValueError(word)
        if url.raw_path not in ("", "/") or url.raw_query_string or url.raw_fragment or word.endswith(("?", "#")):
            raise ValueError(word)
        found.append(str(url.origin()))
    return tuple(dict.fromkeys(found))


METRICS_TOKEN_LENGTH: Final = 16
"""Minimum length of the token for metrics, in characters."""


def metrics_token(text: str) -> Secret:
    """Check that a token can be sent as a bearer token and is long enough. Raises ValueError."""
    if len(text) < METRICS_TOKEN_LENGTH or re.fullmatch(r"[A-Za-z0-9._~+/=-]+", text) is None:
        raise ValueError("not a bearer token")
    return Secret(text)


def host_and_port(text: str) -> tuple[str, int]:
    """Parse an address and a port. Raises ValueError."""
    found = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
    if found is None or int(found[3]) > 65_535:
        raise ValueError(text)
    return found[1] or found[2], int(found[3])


def function_name(text: str) -> str:
    """Check the name or ARN of a Lambda function. Raises ValueError."""
    if _FUNCTION_NAME.fullmatch(text) is None:
        raise ValueError(text)
    return text
