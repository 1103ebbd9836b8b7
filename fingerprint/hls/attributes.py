"""The elements of a playlist: attribute lists, numbers, times and URIs (RFC 8216, 4.2 to 4.3)."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

from yarl import URL

from fingerprint.domain.web_addresses import read_address

MAX_URI_CHARACTERS: Final = 16_384
MAX_ATTRIBUTES: Final = 200


_UNENCODED: Final = re.compile(r"[^!-~]+")


class PlaylistError(Exception):
    """The text is not a usable playlist; the message is a clause that says why, for people."""


class EncryptedPlaylistError(PlaylistError):
    """The segments of the playlist are encrypted."""


def attributes(text: str) -> dict[str, str]:
    """Parses `NAME=value,NAME="value"` into a dict, without quotes or malformed parts, in linear time."""
    found: dict[str, str] = {}
    position = 0
    while len(found) < MAX_ATTRIBUTES:
        equals = text.find("=", position)
        if equals < 0:
            break
        name = text[position:equals].strip(", \t")
        start = equals + 1
        if text.startswith('"', start):
            end = text.find('"', start + 1)
            end = len(text) if end < 0 else end
            value = text[start + 1 : end]
            comma = text.find(",", end)
        else:
            comma = text.find(",", start)
            value = text[start : len(text) if comma < 0 else comma].strip()
        if name:
            found.setdefault(name, value)
        if comma < 0:
            break
        position = comma + 1
    return found


def whole(text: str, *, most: int = 2**63 - 1) -> int | None:
    """A decimal integer from 0 to `most`, or None."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= most else None


def seconds(text: str, *, most: float) -> float | None:
    """A finite number of seconds from 0 to `most`, or None."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= most else None


def moment(text: str) -> datetime | None:
    """A time in UTC, or None when malformed. A time without a zone counts as UTC.

    Its letters may be small (RFC 3339, 5.6).
    """
    try:
        found = datetime.fromisoformat(text.upper())
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def later(start: datetime, duration_seconds: float) -> datetime | None:
    """The time `duration_seconds` after `start`, or None when it is out of the calendar's range."""
    try:
        return start + timedelta(seconds=duration_seconds)
    except OverflowError:
        return None


def address(base: URL, uri: str) -> URL:
    """A playlist's URI resolved against the playlist's own address; percent-encodings stay as they are.

    Characters that no address can have, such as spaces, are encoded. Raises PlaylistError for anything but an http
    or https address.
    """
    if len(uri) > MAX_URI_CHARACTERS:
        raise PlaylistError("it holds an address that is far too long")
    try:
        url = base.join(read_address(_UNENCODED.sub(lambda found: quote(found[0]), uri), encoded=True))
        usable = url.scheme in ("http", "https") and bool(url.host)
    except ValueError as error:
        raise PlaylistError("it holds an address that cannot be read") from error
    if not usable:
        raise PlaylistError("it holds an address that is neither http nor https")
    return url
