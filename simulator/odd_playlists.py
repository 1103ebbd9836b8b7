"""Playlists as the standard allows them, or as broken servers send them: what a fault makes of a text. No I/O."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from yarl import URL

from simulator.faults import FaultKind

_DURATION: Final = re.compile(r"(?m)^(#EXTINF:)[^,\n]*")


def _durations(value: str) -> Callable[[str], str]:
    """Give every segment this duration."""
    return lambda text: _DURATION.sub(rf"\g<1>{value}", text)


def _without_durations(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#EXTINF"))


def _odd_addresses(text: str) -> str:
    """The same addresses, each in another way of writing it (RFC 3986, 4.2, 5.2 and 6.2.2.2)."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            lines[number] = _written(line, number // 3 % 5)
    return "\n".join(lines) + "\n"


def _written(address: str, way: int) -> str:
    url = URL(address, encoded=True)
    match way:
        case 0:
            return f"{address}#t=1"
        case 1 if url.absolute:
            return address.partition(":")[2]
        case 2 if url.absolute:
            return url.raw_path_qs
        case 3:  # the last letter of the path, as its percent-encoding
            path, mark, query = address.partition("?")
            return f"{path[:-1]}%{ord(path[-1]):02x}{mark}{query}"
        case _:
            return f"{address}{'&' if '?' in address else '?'}played=%2F%20{way}"


def _numbered_again(text: str) -> str:
    """EXT-X-MEDIA-SEQUENCE before each segment, counting down (RFC 8216, 4.3.3.2, forbids both)."""
    lines: list[str] = []
    number = 900
    for line in text.splitlines():
        if line.startswith("#EXTINF"):
            lines.append(f"#EXT-X-MEDIA-SEQUENCE:{number}")
            number -= 1
        lines.append(line)
    return "\n".join(lines) + "\n"


def _discontinuities(text: str) -> str:
    """A discontinuity before each segment, and the number of the first one (RFC 8216, 4.3.3.3)."""
    lines = text.replace("#EXT-X-DISCONTINUITY\n", "").replace("#EXTINF", "#EXT-X-DISCONTINUITY\n#EXTINF")
    return lines.replace("#EXT-X-MEDIA-SEQUENCE", "#EXT-X-DISCONTINUITY-SEQUENCE:7\n#EXT-X-MEDIA-SEQUENCE", 1)


ODD: Final[Mapping[FaultKind, Callable[[str], str]]] = {
    FaultKind.CRLF: lambda text: text.replace("\n", "\r\n"),
    FaultKind.LONE_CR: lambda text: text.replace("\n", "\r"),
    FaultKind.BOM: "\ufeff{}".format,
    FaultKind.NEGATIVE_DURATIONS: _durations("-2.000"),
    FaultKind.NAN_DURATIONS: _durations("nan"),
    FaultKind.HUGE_DURATIONS: _durations("1e9"),
    FaultKind.ZERO_DURATIONS: _durations("0"),
    FaultKind.NO_DURATIONS: _without_durations,
    FaultKind.ODD_ADDRESSES: _odd_addresses,
    FaultKind.NUMBERED_AGAIN: _numbered_again,
    FaultKind.DISCONTINUITIES: _discontinuities,
}
"""What is made of the text of a playlist."""
