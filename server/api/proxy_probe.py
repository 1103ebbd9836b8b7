"""How a request reached this server, as `twitchaudio doctor` asks it to learn what the proxies in front do."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from server import keys
from server.access.identity.addresses import Networks, parse_address
from server.access.identity.forwarding import HEADERS
from server.access.identity.session_keys import SessionKeys

ASKED: Final = "X-TwitchAudio-Doctor"
SEEN: Final = "X-TwitchAudio-Seen"
_QUESTION: Final = b"how did this request arrive?"
_SECONDS: Final = 300
"""How old a question may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """How a request arrived: who sent it, whether that is a trusted proxy, and what the proxies have added."""

    peer: str
    trusted: bool
    forwarded: str | None
    """X-Forwarded-For; None without it."""
    others: tuple[str, ...]
    """The names of other headers that say where a request comes from, which the server does not read."""


def sealed_question(session_keys: SessionKeys) -> str:
    """The value of `ASKED`, which only a server with the same session key takes."""
    return session_keys.seal_cookie(_QUESTION)


def answer_probe(request: web.Request) -> Mapping[str, str]:
    """The header with this request's arrival when doctor asks for it; empty otherwise."""
    asked, session_keys = request.headers.get(ASKED), request.app.get(keys.PROBE_KEYS)
    if asked is None or session_keys is None or session_keys.open_cookie(asked, _SECONDS) != _QUESTION:
        return {}
    peer = parse_address(request.remote or "")
    arrival = Arrival(
        peer=str(peer or request.remote or "a Unix socket"),
        trusted=peer is not None and Networks(request.app[keys.SETTINGS].trusted_proxies).contain(peer),
        forwarded=", ".join(request.headers.getall("X-Forwarded-For", ())) or None,
        others=tuple(name for name in HEADERS[1:] if name in request.headers),
    )
    return {SEEN: msgspec.json.encode(arrival).decode()}


def read_arrival(text: str | None) -> Arrival | None:
    """The arrival in a header of `answer_probe`; None when there is none, or something else."""
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.json.decode(text or "", type=Arrival)
    return None
