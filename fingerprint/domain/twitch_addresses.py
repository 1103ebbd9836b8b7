"""What one address of Twitch leads to, and the moment in a video that it names."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote

from fingerprint.domain.copied_text import shown
from fingerprint.domain.link_wrappers import is_short_link
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.target_kinds import ClipTarget, TwitchTarget
from fingerprint.domain.target_names import (
    ADVICE,
    LOGIN,
    VIDEO_ID,
    is_old_slug,
    named_channel,
    named_clip,
    named_video,
    page_refusal,
)

_UNITS: Final = re.compile(
    r"(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7}(?:\.[0-9]{1,6})?)s?)?", re.ASCII | re.IGNORECASE
)
_BETWEEN_UNITS: Final = re.compile(r"(?<=[hm])[ +]+", re.ASCII | re.IGNORECASE)
_CLOCK: Final = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,5}):([0-9]{1,2}(?:\.[0-9]{1,6})?)", re.ASCII)

_BEHIND_MOMENT: Final = re.compile(r"(?<=[0-9hms])[/?].*", re.ASCII | re.IGNORECASE | re.DOTALL)

_SCHEMES: Final = re.compile(r"(?:https?:/+)+|/+", re.ASCII | re.IGNORECASE)
_ENCODED: Final = re.compile(
    r"https?%3a%2f|(?:https?:/+)?(?:[a-z0-9-]+\.)*twitch\.tv%2f", re.ASCII | re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_APP: Final = re.compile(r"twitch://(?:(channel|stream|video|clip)/+|open/*\?)", re.ASCII | re.IGNORECASE)
"""An address that opens Twitch's app."""

_APP_PAGES: Final = {
    "channel": "twitch.tv/",
    "stream": "twitch.tv/",
    "video": "twitch.tv/videos/",
    "clip": "clips.twitch.tv/",
    "open": "player.twitch.tv/?",
}

_SITES: Final = frozenset(
    f"{name}twitch.tv" for name in ("", "www.", "m.", "go.", "canary.", "release.", "beta.", "secure.")
)
_LOCALE: Final = re.compile(
    r"(?:m\.|www\.)?(?!id\.)[a-z]{2}(?:-[a-z0-9]{2,4})?(?:\.m|\.www)?\.twitch\.tv", re.ASCII
)
"""The site in a language, such as `de-de.twitch.tv`, also for phones; `id.twitch.tv` is where users sign in."""
_PLAYERS: Final = frozenset({"player.twitch.tv", "embed.twitch.tv"})
_CLIPS: Final = "clips.twitch.tv"
_DASHBOARD: Final = "dashboard.twitch.tv"

_CHANNEL_SECOND: Final = frozenset({"popout", "moderator", "embed", "u", "subs"})
"""First path segments on twitch.tv that are followed by a channel's login."""

_VIDEO_WORDS: Final = frozenset({"videos", "video", "v"})

_PAGES: Final = frozenset(
    {
        "all",
        "annual",
        "auth",
        "browse",
        "category",
        "collection",
        "creatorcamp",
        "game",
        "messages",
        "notifications",
        "tags",
        "widgets",
    }
)
"""More of them, of which none is known to be kept from channels: they are pages in addresses alone."""
# fmt: on


def parse_moment(text: str) -> float | None:
    """Seconds of a moment written as `1h2m3.5s`, `1h 2m`, `83m`, `5025` or `1:02:03`; None for anything else."""
    text = _BETWEEN_UNITS.sub("", text.strip())
    found = _UNITS.fullmatch(text) if text else None
    if found is None:
        found = _CLOCK.fullmatch(text)
        if found is None or float(found[3]) >= 60 or (found[1] and int(found[2]) >= 60):
            return None
    hours, minutes, seconds = found.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + float(seconds or 0)


@dataclass(frozen=True, slots=True)
class _Address:
    """The parts of an address: the host in lower case, the decoded path, and the first value of each parameter.

    The parameters' names are in lower case. `at_seconds` is the moment that the address names, else 0.
    """

    host: str
    path: list[str]
    query: dict[str, str]
    at_seconds: float


def address_target(url: str) -> TwitchTarget:
    """The target of one address, without anything around it. Raises `invalid-input`."""
    app = _APP.match(url)
    address = _split(url if app is None else _APP_PAGES[(app[1] or "open").lower()] + url[app.end() :])
    if address.host == _CLIPS:
        return _clips_page(address)
    if address.host in _PLAYERS:
        return _player(address)
    if address.host == _DASHBOARD:
        return _dashboard(address)
    if address.host in _SITES or _LOCALE.fullmatch(address.host):
        return _site_page(address)
    if address.host.endswith(".twitch.tv"):
        raise invalid_input(f"{shown(url)} is a Twitch address, but not one of a channel, clip or video.")
    if is_short_link(url):
        raise invalid_input(
            f"{shown(url)} is a short link, which does not say where it leads: open it, and give the address of "
            "that page."
        )
    raise invalid_input(f"{shown(url)} is not a Twitch address.")


def _split(url: str) -> _Address:
    """The parts of an address. Anything that URL parsers disagree about is refused."""
    refusal = invalid_input(f"{shown(url)} cannot be read as an address.")
    if any(sign <= " " or sign in "\x7f\\" for sign in url):
        raise refusal
    if _ENCODED.match(url):
        url = unquote(url)
    scheme = _SCHEMES.match(url)
    rest = url if scheme is None else url[scheme.end() :]
    if scheme is None and "://" in rest:
        raise refusal
    found = _ADDRESS.fullmatch(rest)
    assert found is not None, "every text is one"
    # Addresses that were copied from a page's source have their ampersands escaped.
    place, path, query, fragment = (part.replace("&amp;", "&") for part in found.groups(""))
    host, _, port = place.partition(":")
    if not host or any(sign in place for sign in "@[]") or port not in ("", "80", "443"):
        raise refusal
    if not query:
        # A tool that removes parameters has taken the first one, with its `?`.
        path, _, query = path.partition("&")
    parameters = _parameters(query)
    moment = parameters.get("t") or parameters.get("time")
    if moment is None:
        in_fragment = _parameters(fragment)
        moment = in_fragment.get("t") or in_fragment.get("time")
    # Reddit encodes the `\_` of Markdown, and some tools all of a path.
    path = unquote(path).replace("\\_", "_")
    segments = [segment for segment in path.split("/") if segment]
    # A name with a dot at its end is the same host: RFC 1034, section 3.1.
    return _Address(host.lower().removesuffix("."), segments, parameters, _moment(moment))


def _parameters(query: str) -> dict[str, str]:
    """The first value of each parameter, by its name in lower case."""
    try:
        pairs = parse_qsl(query, max_num_fields=100)
    except ValueError as error:
        raise invalid_input("The address has more parameters than any address of Twitch.") from error
    return {name.lower(): value for name, value in reversed(pairs)}


def _moment(text: str | None) -> float:
    # Some tools end an address with a slash, or add their parameters behind a second `?`.
    moment = 0.0 if text is None else parse_moment(_BEHIND_MOMENT.sub("", text))
    if moment is None:
        raise invalid_input(f"{shown(text or '')} is not a moment in a video: write 1h2m3s, 1:02:03 or seconds.")
    return moment


def _site_page(address: _Address) -> TwitchTarget:  # noqa: PLR0911, PLR0912 - one for each form
    """The target of a page on www.twitch.tv or one of its other host names."""
    path, at_seconds = address.path, address.at_seconds
    match [segment.lower() for segment in path[:2]]:
        case []:
            raise invalid_input("This is Twitch's front page: give the address of a channel, a clip or a video.")
        case ["stories" | "story", _]:
            raise invalid_input(
                "This is a story, which cannot be listened to: give the address of the channel, a clip or a video."
            )
        case ["clip" | "clips", _]:
            return named_clip(path[1])
        case [word, _] if word in _VIDEO_WORDS:
            return named_video(path[1], at_seconds)
        case ["popout", "moderator" | "u"] if len(path) > 2:
            return named_channel(path[2])
        case [word, _] if word in _CHANNEL_SECOND:
            return named_channel(path[1])
        case [_, "clip" | "c" | "b" | "v" | "video"] if len(path) == 2:
            raise invalid_input("This address ends where the clip or video should be named.")
        case [channel, "clip"]:
            return _clip_of(channel, path[2])
        case [channel, "clips"] if len(path) > 2:
            return _clip_of(channel, path[2])
        case [_, "v" | "video"]:
            return named_video(path[2], at_seconds)
        case [_, "videos"] if len(path) > 2 and VIDEO_ID.fullmatch(path[2]):
            return named_video(path[2], at_seconds)
        case [_, "manager"] if VIDEO_ID.fullmatch(path[-1]):
            return named_video(path[-1], at_seconds)
        case [_, "b" | "c"]:
            raise invalid_input("This is an address of Twitch's old archive, which is gone.")
        case [_, "schedule"] if "vodid" in address.query:
            return named_video(address.query["vodid"], at_seconds)
        case _:
            if path[0].lower() in _PAGES:
                raise page_refusal(path[0])
            return named_channel(path[0])


def _clips_page(address: _Address) -> ClipTarget:
    """The target of a page on clips.twitch.tv. A clip's maker gets the one with `/edit`."""
    path = address.path
    if len(path) > 1 and path[-1].lower() == "edit":
        path = path[:-1]
    match path:
        case [word, *_] if word.lower() == "embed" and "clip" in address.query:
            return named_clip(address.query["clip"].rpartition("/")[2])
        case [word, *_] if word.lower() in ("embed", "create", "clips", "edit"):
            raise invalid_input("This address of clips.twitch.tv names no clip.")
        case [slug]:
            return named_clip(slug)
        case [channel, slug]:
            return _clip_of(channel, slug)
        case _:
            raise invalid_input("This address of clips.twitch.tv names no clip.")


def _clip_of(channel: str, slug: str) -> ClipTarget:
    login = channel.lower() if LOGIN.fullmatch(channel) else None
    return dataclasses.replace(named_clip(slug), channel=login)


def _player(address: _Address) -> TwitchTarget:
    """The target of a player.twitch.tv address; if it names a channel and a video, the channel, as Twitch does."""
    query = address.query
    if channel := query.get("channel") or query.get("stream"):
        return named_channel(channel)
    if "video" in query:
        return named_video(query["video"], address.at_seconds)
    if "clip" in query:
        return named_clip(query["clip"])
    advice = f" {ADVICE['collections']}" if "collection" in query else ""
    raise invalid_input(f"This player's address names neither a channel nor a video.{advice}")


def _dashboard(address: _Address) -> TwitchTarget:
    """The channel of a dashboard's page, such as `/u/NAME/stream-manager`, or the video or clip that is edited."""
    path = address.path[1:] if address.path and address.path[0].lower() == "popout" else address.path
    if len(path) < 2 or path[0].lower() not in ("u", "moderator"):
        raise invalid_input("This page of the dashboard names no channel.")
    *pages, last = path[2:] or ["", ""]
    below = {page.lower() for page in pages}
    if "video-producer" in below and VIDEO_ID.fullmatch(last):
        return named_video(last, address.at_seconds)
    if "clips" in below and (len(last) > 25 or is_old_slug(last)):
        return _clip_of(path[1], last)
    return named_channel(path[1])
