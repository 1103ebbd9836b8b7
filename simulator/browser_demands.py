"""What a stricter Twitch could look at, to serve browsers alone: one table, all of it off at the start."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from simulator.faults import Step

_FILES: Final = (Step.PLAYLIST, Step.SEGMENT, Step.CLIP)
_ALL: Final = (Step.GQL, Step.USHER, *_FILES)
_HTML: Final = b"<!DOCTYPE html><html><head><title>403</title></head><body>Request blocked.</body></html>"
_ERRORS: Final = {
    "browser": b'{"errors":[{"message":"server error"}],"extensions":{}}',
    "device": b'{"errors":[{"message":"failed integrity check"}],"extensions":{"challenge":{"type":"integrity"}}}',
}
"""How gql says no, with a 200."""

_PAGES: Final = ("https://www.twitch.tv", "https://player.twitch.tv", "https://clips.twitch.tv")


@dataclass(frozen=True, slots=True)
class BrowserDemand:
    """Something that browsers send. `effect`: what comes without it, as docs/simulator.md words it.

    `source`: where that can be read, with its date; most of it is a guess.
    """

    name: str
    steps: tuple[Step, ...]
    met: Callable[[Mapping[str, str]], bool]
    effect: str
    source: str


def _from_page(headers: Mapping[str, str]) -> bool:
    return headers.get("Origin", "") in _PAGES and headers.get("Referer", "").startswith(_PAGES)


def _like_a_browser(headers: Mapping[str, str]) -> bool:
    return headers.get("User-Agent", "").startswith("Mozilla/5.0 ") and "Accept-Language" in headers


def _fetched(headers: Mapping[str, str]) -> bool:
    return headers.get("Sec-Fetch-Mode") == "cors" and headers.get("Sec-Fetch-Dest") == "empty"


def _with_device(headers: Mapping[str, str]) -> bool:
    device = headers.get("X-Device-Id") or headers.get("Device-ID") or ""
    return device.isalnum() and len(device) >= 16


TABLE: Final = (
    BrowserDemand(
        "browser",
        _ALL,
        _like_a_browser,
        "a browser's User-Agent and Accept-Language: otherwise `server error` from gql, else a page with 403",
        "streamlink#6574 for gql and the User-Agent (2025-06); the rest is a guess",
    ),
    BrowserDemand(
        "page",
        _ALL,
        _from_page,
        "Origin and Referer of a Twitch page, from gql to the segments: otherwise a page with 403",
        "streamlink sends them to gql (2026-10-29); it is a guess that media hosts check them",
    ),
    BrowserDemand(
        "fetch",
        _ALL,
        _fetched,
        "Sec-Fetch-Mode and Sec-Fetch-Dest of a script's requests: otherwise a page with 403",
        "W3C, Fetch Metadata Request Headers, what browsers send; it is a guess that Twitch checks it",
    ),
    BrowserDemand(
        "device",
        (Step.GQL,),
        _with_device,
        "X-Device-Id or Device-ID: otherwise `failed integrity check`",
        "2bc4/twitch-hls-client 1.8.0 always sends one, streamlink#5370 with integrity (2023-06); "
        "it is a guess that gql insists on it",
    ),
)


def refused(demands: Collection[str], step: Step, headers: Mapping[str, str]) -> tuple[int, bytes, str] | None:
    """The status, body and content type for a request that lacks what is demanded; None for any other."""
    for demand in TABLE:
        if demand.name in demands and step in demand.steps and not demand.met(headers):
            error = _ERRORS.get(demand.name)
            if step is Step.GQL and error is not None:
                return 200, error, "application/json"
            return 403, _HTML, "text/html"
    return None
