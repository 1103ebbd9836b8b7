"""What can be identified, and how users write it: names, slugs, ids and every form of Twitch address."""

import dataclasses
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import TwitchAudioError, invalid_input


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """A live channel, by its lower-case login."""

    login: str
    kind: ClassVar[Kind] = Kind.STREAM

    @property
    def name(self) -> str:
        """The target's name, as shown to users and stored."""
        return self.login

    @property
    def key(self) -> str:
        """A key that is equal for all requests for this target."""
        return f"stream:{self.login}"


@dataclass(frozen=True, slots=True)
class ClipTarget:
    """A clip, by its case-sensitive slug. `channel` is the login in the address, if any: unverified."""

    slug: str
    channel: str | None = field(default=None, compare=False)
    kind: ClassVar[Kind] = Kind.CLIP

    @property
    def name(self) -> str:
        return self.slug

    @property
    def key(self) -> str:
        return f"clip:{self.slug}"


@dataclass(frozen=True, slots=True)
class VideoTarget:
    """A moment in a VOD, highlight or upload: its id and seconds from its start."""

    video_id: str
    at_seconds: float
    kind: ClassVar[Kind] = Kind.VIDEO

    @property
    def name(self) -> str:
        return self.video_id

    @property
    def key(self) -> str:
        """A key that is equal for all requests for this target; moments are rounded to whole seconds."""
        return f"video:{self.video_id}@{int(self.at_seconds)}"


@dataclass(frozen=True, slots=True)
class FileTarget:
    """An audio or video file on this machine; clients of the API can never name one."""

    path: Path
    kind: ClassVar[Kind] = Kind.FILE

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def key(self) -> str:
        """A key that distinguishes files."""
        return f"file:{self.path}"


TwitchTarget = ChannelTarget | ClipTarget | VideoTarget
Target = TwitchTarget | FileTarget


# --- How users write them -----------------------------------------------------------------------------

MAX_TEXT: Final = 2_000
"""The longest text of a target, in characters; real addresses are far shorter."""

MAX_AT_SECONDS: Final = 1_000_000.0
"""The latest moment in a video that can be asked for; Twitch cuts broadcasts long before."""

# All patterns are linear: single classes with bounds, no alternatives that overlap.
_LOGIN: Final = re.compile(r"[A-Za-z0-9_]{1,25}", re.ASCII)
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_VIDEO_ID: Final = re.compile(r"[vV]?([1-9][0-9]{0,14})", re.ASCII)
_OFFSET: Final = re.compile(r"(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7})s?)?", re.ASCII | re.IGNORECASE)
_CAMEL_WORD: Final = re.compile(r"[A-Z][^A-Z]*", re.ASCII)

_SITES: Final = frozenset({"twitch.tv", "www.twitch.tv", "m.twitch.tv", "go.twitch.tv"})
_PLAYERS: Final = frozenset({"player.twitch.tv", "embed.twitch.tv"})
_CLIPS: Final = "clips.twitch.tv"

_CHANNEL_SECOND: Final = frozenset({"popout", "moderator", "embed"})
"""First path segments on twitch.tv that are followed by a channel's login."""

_VIDEO_WORDS: Final = frozenset({"videos", "video", "v"})

# fmt: off
RESERVED: Final = frozenset({
    "about", "activate", "bits", "blog", "broadcast", "checkout", "clip", "clips", "collections",
    "communities", "dashboard", "directory", "discover", "downloads", "drops", "embed", "event", "events",
    "following", "friends", "inventory", "jobs", "legal", "login", "logout", "moderator", "p", "partner",
    "payments", "popout", "press", "prime", "privacy", "products", "redeem", "search", "security",
    "settings", "signup", "store", "subscriptions", "team", "teams", "terms", "turbo", "u", "user", "v",
    "video", "videos", "wallet",
})
# fmt: on
"""First path segments of twitch.tv that are pages, not channels."""


def parse_target(text: str) -> TwitchTarget:
    """The target that a user means by a channel name, a clip slug, a video number or any Twitch address.

    A bare word is classified as follows: with a `-`, or with more than 25 characters, it is a clip's slug; with
    seven or more digits and nothing else a video's number; four or more capitalized words in at least 17
    characters (`AbrasivePlayfulMangoMau5`) are one of the old slugs; anything else is a channel. A channel whose
    display name looks like an old slug is reached in lower case, or by its address.

    Raises TwitchAudioError `invalid-input` with a sentence that says what is accepted.
    """
    text = _checked(text)
    if any(sign in text for sign in "/.:?"):
        return url_target(text)
    if text.isascii() and text.isdigit() and len(text) >= 7:
        return video_target(text)
    if "-" in text or len(text) > 25 or _is_old_slug(text):
        return clip_target(text)
    return channel_target(text)


def channel_target(name: str) -> ChannelTarget:
    """The channel with a login name, written in any case and with or without `@`. Raises `invalid-input`."""
    name = _checked(name).removeprefix("@")
    if _LOGIN.fullmatch(name) is None:
        if "/" in name or "." in name:
            raise invalid_input(f"{_shown(name)} is an address, not a channel's name; give it as a URL.")
        raise invalid_input(
            f"{_shown(name)} is no channel's name: those have up to 25 letters, digits and underscores, as in the "
            "channel's address."
        )
    login = name.lower()
    if login in RESERVED:
        raise invalid_input(f"{_shown(name)} is a page of Twitch, not a channel.")
    return ChannelTarget(login)


def clip_target(slug: str) -> ClipTarget:
    """The clip with a slug, which is case-sensitive. Raises `invalid-input`."""
    slug = _checked(slug)
    if "/" in slug or "." in slug:
        raise invalid_input(f"{_shown(slug)} is an address, not a clip's slug; give it as a URL.")
    if len(slug) > 128:
        raise invalid_input(f"{_shown(slug)} is too long for a clip's slug: those have up to 128 characters.")
    if _SLUG.fullmatch(slug) is None:
        raise invalid_input(
            f"{_shown(slug)} is no clip's slug: those have letters, digits, hyphens and underscores, as in the "
            "clip's address."
        )
    if slug.isdigit():
        raise invalid_input(f"{_shown(slug)} is a video's number, not a clip's slug.")
    return ClipTarget(slug)


def video_target(video_id: str, at_seconds: float = 0.0) -> VideoTarget:
    """The moment `at_seconds` after a video's start; the id may begin with `v`. Raises `invalid-input`."""
    video_id = _checked(video_id)
    found = _VIDEO_ID.fullmatch(video_id)
    if found is None:
        if "/" in video_id or "." in video_id:
            raise invalid_input(f"{_shown(video_id)} is an address, not a video's number; give it as a URL.")
        raise invalid_input(f"{_shown(video_id)} is no video's number: those have up to 15 digits.")
    if not math.isfinite(at_seconds) or not 0 <= at_seconds <= MAX_AT_SECONDS:
        raise invalid_input(f"The moment in a video is given in seconds from 0 to {MAX_AT_SECONDS:.0f}.")
    return VideoTarget(found[1], float(at_seconds))


def url_target(url: str) -> TwitchTarget:
    """The target that a twitch.tv address shows, given with or without its scheme. Raises `invalid-input`."""
    url = _checked(url)
    parts = _split(url)
    host = parts.netloc.lower()
    path = [segment for segment in parts.path.split("/") if segment]
    query = _query(parts)
    if host == _CLIPS:
        return _clips_page(path, query)
    if host in _PLAYERS:
        return _player(query)
    if host in _SITES:
        return _site_page(path, query)
    raise invalid_input(f"{_shown(url)} is not an address of Twitch.")


def _checked(text: str) -> str:
    text = text.strip()
    if not text:
        raise invalid_input("Nothing was given: it takes a channel name, a clip, a video or a Twitch address.")
    if len(text) > MAX_TEXT:
        raise invalid_input(f"This is too long: a target has at most {MAX_TEXT} characters.")
    return text


def _shown(text: str) -> str:
    """The text as shown in an error message: shortened, and with unusual characters escaped."""
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _is_old_slug(word: str) -> bool:
    if len(word) < 17 or "_" in word:
        return False
    capitalized = _CAMEL_WORD.findall(word)
    return (
        len(capitalized) >= 4
        and sum(map(len, capitalized)) == len(word)
        and all(len(part) >= 3 for part in capitalized[:3])
    )


def _split(url: str) -> SplitResult:
    """The parts of an address. Anything that URL parsers disagree about is refused."""
    refusal = invalid_input(f"{_shown(url)} cannot be read as an address.")
    if any(sign <= " " or sign in "\x7f\\" for sign in url):
        raise refusal
    scheme, separator, _ = url.partition("://")
    if not separator:
        url = f"https://{url.removeprefix('//')}"
    elif scheme.lower() not in ("http", "https"):
        raise refusal
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise refusal from error
    host, _, port = parts.netloc.partition(":")
    if "@" in parts.netloc or port not in ("", "80", "443"):
        raise refusal
    return parts._replace(netloc=host)


def _query(parts: SplitResult) -> dict[str, str]:
    """The first value of each query parameter, by name."""
    try:
        pairs = parse_qsl(parts.query, max_num_fields=100)
    except ValueError as error:
        raise invalid_input("The address has more parameters than any address of Twitch.") from error
    return dict(reversed(pairs))


def _site_page(path: list[str], query: dict[str, str]) -> TwitchTarget:  # noqa: PLR0911 - one for each form
    """The target of a page on www.twitch.tv or one of its other host names."""
    match [segment.lower() for segment in path[:2]]:
        case []:
            raise invalid_input("This is Twitch's front page: give the address of a channel, a clip or a video.")
        case ["clip", _]:
            return clip_target(path[1])
        case [word, _] if word in _VIDEO_WORDS:
            return video_target(path[1], _offset(query))
        case ["popout", "moderator"] if len(path) > 2:
            return channel_target(path[2])
        case [word, _] if word in _CHANNEL_SECOND:
            return channel_target(path[1])
        case [_, "clip" | "c" | "b" | "v" | "video"] if len(path) == 2:
            raise invalid_input("This address ends where the clip or video should be named.")
        case [channel, "clip"]:
            return _clip_of(channel, path[2])
        case [_, "v" | "video" | "videos"] if len(path) > 2:
            return video_target(path[2], _offset(query))
        case [_, "b" | "c"]:
            raise invalid_input("This is an address of Twitch's old archive, which is gone.")
        case [_, "schedule"] if "vodID" in query:
            return video_target(query["vodID"], _offset(query))
        case _:
            return channel_target(path[0])


def _clips_page(path: list[str], query: dict[str, str]) -> ClipTarget:
    """The target of a page on clips.twitch.tv."""
    match path:
        case ["embed", *_] if "clip" in query:
            return clip_target(query["clip"])
        case [] | ["embed" | "create" | "clips", *_]:
            raise invalid_input("This address of clips.twitch.tv names no clip.")
        case [slug]:
            return clip_target(slug)
        case [channel, slug]:
            return _clip_of(channel, slug)
        case _:
            raise invalid_input("This address of clips.twitch.tv names no clip.")


def _clip_of(channel: str, slug: str) -> ClipTarget:
    login = channel.lower() if _LOGIN.fullmatch(channel) else None
    return dataclasses.replace(clip_target(slug), channel=login)


def _player(query: dict[str, str]) -> TwitchTarget:
    """The target of a player.twitch.tv address; if it names a channel and a video, the channel, as Twitch does."""
    if "channel" in query:
        return channel_target(query["channel"])
    if "video" in query:
        return video_target(query["video"], _offset(query))
    raise invalid_input("This player's address names neither a channel nor a video.")


def _offset(query: dict[str, str]) -> float:
    """The moment given as `t=1h2m3s`, `t=83m`, `t=45s` or `t=5025`, in seconds; 0 when there is none."""
    text = query.get("t", query.get("time", ""))
    if not text:
        return 0.0
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise _bad_time(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def _bad_time(text: str) -> TwitchAudioError:
    return invalid_input(f"{_shown(text)} is no moment in a video: it is written as 1h2m3s or in seconds.")
