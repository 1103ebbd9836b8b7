"""What settings may hold: the parsers of their texts, and the values that they give."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, Generic, TypeVar

import platformdirs
from yarl import URL

from fingerprint.domain.web_addresses import read_address

T = TypeVar("T")

_TABLE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{3,255}", re.ASCII)


class Secret:
    """A text that is never shown in logs, reprs or tracebacks."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The plain text, for the code that sends or verifies it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Format(Generic[T]):
    """What a variable can hold. `parse` raises ValueError for other texts; `takes` completes "it takes ..."."""

    parse: Callable[[str], T]
    takes: str


def secret(text: str) -> Secret:
    """Parses any text as a Secret."""
    return Secret(text)


def path(text: str) -> Path:
    """Parses a path and expands `~`."""
    return Path(text).expanduser()


def base_url(text: str) -> URL:
    """Parses an absolute http or https address without query or user."""
    url = read_address(text)
    if url.scheme not in ("http", "https") or not url.host or url.query or url.user or url.fragment:
        raise ValueError(text)
    return url


def endpoint(text: str) -> str:
    """Checks an address like `base_url`, and returns it as text."""
    return str(base_url(text)).rstrip("/")


def table_name(text: str) -> str:
    """Parses the name of a DynamoDB table."""
    if _TABLE_NAME.fullmatch(text) is None:
        raise ValueError(text)
    return text


def words(text: str) -> tuple[str, ...]:
    """Parses comma-separated words, at least one."""
    found = tuple(word.strip() for word in text.split(",") if word.strip())
    if not found:
        raise ValueError(text)
    return found


def folders(text: str) -> tuple[Path, ...]:
    """Parses comma-separated folders, at least one."""
    if "://" in text:
        raise ValueError(text)
    return tuple(path(word) for word in words(text))


@dataclass(frozen=True, slots=True)
class S3Address:
    """Where a catalog is in object storage: a bucket, and what its objects' names begin with."""

    bucket: str
    prefix: str = ""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    @property
    def folder_name(self) -> str:
        """A file name for the catalog's copy: readable, and different for each address."""
        readable = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{self.bucket}-{self.prefix}").strip("-.")
        return f"{readable[:60]}-{hashlib.sha256(str(self).encode()).hexdigest()[:8]}"


CatalogPlace = Path | S3Address
"""Where a catalog is."""

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)


def catalog_place(text: str) -> CatalogPlace:
    """Parses a folder, or an address such as `s3://bucket/prefix`."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return path(text)
    bucket, _, prefix = rest.partition("/")
    prefix = prefix.strip("/")
    parts = prefix.split("/") if prefix else []
    if scheme.lower() != "s3" or _BUCKET.fullmatch(bucket) is None or len(prefix) > MAX_PREFIX:
        raise ValueError(text)
    if not prefix.isprintable() or any(sign in prefix for sign in "?#\\") or {"", ".", ".."} & set(parts):
        raise ValueError(text)
    return S3Address(bucket, prefix)


MAX_PREFIX: Final = 800
"""In characters; S3's names have at most 1,024 bytes."""


def catalog_places(text: str) -> tuple[CatalogPlace, ...]:
    """Parses comma-separated places of catalogs, at least one."""
    return tuple(catalog_place(word) for word in words(text))


def prices(text: str) -> Mapping[str, Decimal]:
    """Parses comma-separated pairs such as `audd=0.005`."""
    found: dict[str, Decimal] = {}
    for word in words(text):
        name, _, price = (part.strip() for part in word.partition("="))
        if not name or name in found or not re.fullmatch(r"\d{1,6}(?:\.\d{1,6})?", price, re.ASCII):
            raise ValueError(word)
        found[name] = Decimal(price)
    return found


HTTP_ADDRESS: Final = Format(base_url, "an http(s) address")
ENDPOINT: Final = Format(endpoint, HTTP_ADDRESS.takes)
TABLE_NAME: Final = Format(table_name, "3 to 255 letters, digits, hyphens, underscores and dots")


def one_of(*choices: str) -> Format[str]:
    """One of the given words, two at least."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return Format(parse, f"{', '.join(choices[:-1])} or {choices[-1]}")


def whole_number(low: int, high: int) -> Format[int]:
    """A whole number between two bounds, inclusive."""

    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return Format(parse, f"a whole number from {low} to {high}")


@dataclass(frozen=True, slots=True)
class GqlAttempt:
    """One way to ask for a playback token: a client id, with the query's full text, the least text or its hash."""

    client_id: str
    form: str


GQL_FORMS: Final = ("text", "minimal", "persisted")

DEFAULT_GQL_ATTEMPTS: Final = (
    GqlAttempt("kimne78kx3ncx6brgo4mv6wki5h1ko", "text"),
    GqlAttempt("ue6666qo983tsx6so1t0vnawi233wa", "minimal"),
    GqlAttempt("kimne78kx3ncx6brgo4mv6wki5h1ko", "persisted"),
)

FIREFOX_VERSION: Final = 157
FIREFOX_RELEASED: Final = date(2026, 11, 10)
"""When Mozilla released that version, by its release calendar: https://whattrainisitnow.com/release/?version=157.

Renew both together: a test fails when a release of ours is more than a year younger.
"""

DEFAULT_USER_AGENT: Final = (
    f"Mozilla/5.0 (X11; Linux x86_64; rv:{FIREFOX_VERSION}.0) Gecko/20100101 Firefox/{FIREFOX_VERSION}.0"
)


def gql_attempts(text: str) -> tuple[GqlAttempt, ...]:
    """Parses comma-separated `client id:form` pairs."""
    attempts: list[GqlAttempt] = []
    for word in words(text):
        client_id, separator, form = word.partition(":")
        if not separator or form not in GQL_FORMS or not client_id.isalnum():
            raise ValueError(word)
        attempts.append(GqlAttempt(client_id, form))
    return tuple(attempts)


def media_hosts(text: str) -> tuple[str, ...]:
    """Parses comma-separated host names; `*.name` stands for every host below that name."""
    hosts = words(text.lower())
    for host in hosts:
        bare = host.removeprefix("*.")
        if not bare or any(sign in bare for sign in "*/ \\?#@"):
            raise ValueError(host)
    return hosts


HOST_NAMES: Final = Format(media_hosts, "comma-separated host names, such as *.ttvnw.net")


def user_agent(text: str) -> str:
    """Parses a User-Agent header: one line of printable ASCII."""
    if len(text) > 300 or not text.isascii() or not text.isprintable():
        raise ValueError(text)
    return text


def host_name(text: str) -> str:
    """Parses a host name with an optional port; no scheme and no path."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}(?::[0-9]{1,5})?", text):
        raise ValueError(text)
    return text.lower()


def contact(text: str) -> str:
    """Parses a short text for a header: no line breaks or brackets."""
    if len(text) > 100 or not text.isascii() or not text.isprintable() or any(sign in text for sign in "()"):
        raise ValueError(text)
    return text


def default_data_dir() -> Path:
    """The folder for application data on this platform."""
    return Path(platformdirs.user_data_dir("twitchaudio", appauthor=False))
