"""What can be identified, and how users write it: names, slugs, ids and every form of Twitch address."""

import dataclasses
import math
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final
from urllib.parse import parse_qsl, unquote

from fingerprint.domain.identification import Kind
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """A live channel, by its lower-case login: what it plays now, or what it played `at` an earlier time.

    `ago`: `at` is only our clock's word for so many seconds before what listeners hear now.
    """

    login: str
    at: datetime | None = None
    ago: float | None = field(default=None, compare=False)
    kind: ClassVar[Kind] = Kind.STREAM

    @property
    def name(self) -> str:
        """The target's name, as shown to users and stored."""
        return self.login

    @property
    def key(self) -> str:
        """A key that is equal for all requests for this target; earlier times are rounded to whole seconds."""
        return f"stream:{self.login}" + ("" if self.at is None else f"@{int(self.at.timestamp())}")


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


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """A recording that a client of the API has sent, by its SHA-256: the same for all who send the same one.

    `kept_by`: what keeps the file at `path` there, until it is not needed any more.
    """

    digest: str
    path: Path = field(default=Path(), compare=False)
    kept_by: object = field(default=None, compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.FILE

    @property
    def name(self) -> str:
        return self.digest

    @property
    def key(self) -> str:
        """A key that is equal for all recordings with the same bytes."""
        return f"upload:{self.digest}"


TwitchTarget = ChannelTarget | ClipTarget | VideoTarget
AskedTarget = TwitchTarget | UploadTarget
"""What clients of the API can ask about."""

Target = AskedTarget | FileTarget

MAX_UPLOAD_SOUND_SECONDS: Final = 60.0
"""How much of an uploaded recording is listened to."""


# --- How users write them -----------------------------------------------------------------------------

MAX_TEXT: Final = 2_000
"""The longest text of a target, in characters; real addresses are far shorter."""

MAX_AT_SECONDS: Final = 1_000_000.0
"""The latest moment in a video that can be asked for; Twitch cuts broadcasts long before."""

_CLOCKS_DIFFER: Final = timedelta(seconds=60)
"""How far ahead of ours the clock of a client may be."""

MAX_AGO_SECONDS: Final = 172_800.0
"""The longest ago that a live channel can be asked about: Twitch ends broadcasts after 48 hours."""

# All patterns are linear: single classes with bounds, no alternatives that overlap.
_LOGIN: Final = re.compile(r"[A-Za-z0-9_]{1,25}", re.ASCII)
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
_VIDEO_ID: Final = re.compile(r"[vV]?([1-9][0-9]{0,14})", re.ASCII)
_UNITS: Final = re.compile(
    r"(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7}(?:\.[0-9]{1,6})?)s?)?", re.ASCII | re.IGNORECASE
)
_BETWEEN_UNITS: Final = re.compile(r"(?<=[hm])[ +]+", re.ASCII | re.IGNORECASE)
_CLOCK: Final = re.compile(r"(?:([0-9]{1,4}):)?([0-9]{1,5}):([0-9]{1,2}(?:\.[0-9]{1,6})?)", re.ASCII)
_CAMEL_WORD: Final = re.compile(r"[A-Z][^A-Z]*", re.ASCII)

_SPACES: Final = re.compile(r"[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")
_INVISIBLE: Final = re.compile(
    r"[\x02\x0f\x11\x16\x1d-\x1f\xad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]|\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?|\x1b\[[0-9;]{0,20}m"
)
"""Characters without a width, and colors of IRC and terminals, which copying from chats and pages brings along."""

_BLANKS: Final = re.compile(r"[\u2800\u3164]")
"""Letters that look like spaces."""

_ESCAPES: Final = re.compile(
    r"\\([_/])|\\u00(2f|26|3d)|&(?:#x(2f)|#(47|34|39)|(quot|lt|gt|apos|nbsp));", re.ASCII | re.IGNORECASE
)
"""How Markdown writes `_`, JSON `/`, `&` and `=`, and pages `/`, quotes and brackets."""

# fmt: off
_ESCAPED: Final = {
    "2f": "/", "47": "/", "26": "&", "3d": "=", "quot": '"', "34": '"', "lt": "<", "gt": ">", "apos": "'",
    "39": "'", "nbsp": " ",
}
# fmt: on

_WIDE_LETTER: Final = re.compile(r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_LETTER: Final = re.compile(r"[A-Za-z0-9]")
_WIDE: Final = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
"""ASCII as wide as Chinese and Japanese signs."""

_WIDE_SIGNS: Final = re.compile(r"(https?)[:\uff1a][/\uff0f]{2}|(twitch\.tv)\uff0f", re.IGNORECASE)

# How chats and documents wrap an address, and what follows it in a sentence. No address of Twitch ends so.
_OPENING: Final = "<([{\"'`*|~" + "\u2018\u201c\u201e\u00ab\u300c\u300e\u3010\u3008\u300a\uff08"
_CLOSING: Final = (
    ">)]}\"'`*|~.,;:!?\\"
    "\u2026\u2019\u201c\u201d\u00bb\u300d\u300f\u3011\u3009\u300b\uff09\u3002\u3001\uff0c\uff01\uff1f"
)
_PAIRS: Final = frozenset(
    {"<>", "()", "[]", "{}", '""', "''", "``", "**", "~~", "||", "\u2018\u2019", "\u201c\u201d", "\u00ab\u00bb"}
)
_MARKDOWN: Final = re.compile(r"\[[^\[\]]*\]\(([^\s()]+)(?:\s+\"[^\"]*\")?\)")
_LABELED: Final = re.compile(r"<([^\s<>|]+)\|[^<>]*>")
_WRAPPED: Final = re.compile(
    r"[^/:?]*(?:[<>(\[\]{\"'`*|~_=!]|[^\x00-\x7f]|[A-Za-z]:)|[\"{]{0,2}[A-Za-z_]{1,20}\":\""
)
"""What may come right before `https://`: a sign that wraps or quotes, a label such as `live:`, or a writing that
puts no spaces between words."""

_ENDS: Final = re.compile(r'[<>"\[\]]')
_MARKS: Final = re.compile(r"[_*~|]*_[_*~|]*(?=https?:/|(?:[a-z0-9-]+\.)*twitch\.tv)", re.ASCII | re.IGNORECASE)
"""Signs of chats for italic, bold, struck out and hidden text before an address. The same ones end it in reverse:
an underscore alone may be the last sign of a name."""

_FOREIGN: Final = re.compile(
    r"(?<=[A-Za-z0-9_-])[\u2010-\u2bff\u3000-\u9fff\uac00-\ud7a3\uff00-\uff0f\uff1a-\uff20\uff5b-\uff9f\U0001f000-\U0001faff].*"
)
"""Punctuation, pictures and writings without spaces: no address of Twitch has them, so they are what follows one.
What looks like a letter of a name is not among them."""

_POSSESSIVE: Final = re.compile(r"['\u2019]s$")
_BROKEN_MOMENT: Final = re.compile(
    r"([?&#;]t(?:ime)?=[0-9hm]{0,12}[hm])[ +]+(?=[0-9]{1,7}(?:\.[0-9]{1,6})?[ms])", re.ASCII | re.IGNORECASE
)
"""A moment with spaces between its parts, which would otherwise be the end of the address."""

_SCHEMES: Final = re.compile(r"(?:https?:/+)+|/+", re.ASCII | re.IGNORECASE)
_ENCODED: Final = re.compile(
    r"https?%3a%2f|(?:https?:/+)?(?:[a-z0-9-]+\.)*twitch\.tv%2f", re.ASCII | re.IGNORECASE
)
_ADDRESS: Final = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
_TWITCH: Final = re.compile(
    r"(?:(?:https?:/+)+|/+)?(?:[a-z0-9-]+\.)*twitch\.tv\.?(?::[0-9]*)?(?:/+[^/]|[?#])", re.ASCII | re.IGNORECASE
)
_APP: Final = re.compile(r"twitch://(?:(channel|stream|video|clip)/+|open/*\?)", re.ASCII | re.IGNORECASE)
"""An address that opens Twitch's app."""

_APP_PAGES: Final = {
    "channel": "twitch.tv/",
    "stream": "twitch.tv/",
    "video": "twitch.tv/videos/",
    "clip": "clips.twitch.tv/",
    "open": "player.twitch.tv/?",
}
_BEFORE_MOMENT: Final = frozenset({"at", "@", "-", "\u2013", "\u2014", "ab", "from"})
"""Words between an address and the moment that is meant."""

_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)

_SITES: Final = frozenset(
    f"{name}twitch.tv" for name in ("", "www.", "m.", "go.", "canary.", "release.", "beta.", "secure.")
)
_LOCALE: Final = re.compile(r"(?!id\.)[a-z]{2}(?:-[a-z0-9]{2,4})?\.twitch\.tv", re.ASCII)
"""The site in a language, such as `de-de.twitch.tv`; `id.twitch.tv` is where users sign in."""
_PLAYERS: Final = frozenset({"player.twitch.tv", "embed.twitch.tv"})
_CLIPS: Final = "clips.twitch.tv"
_DASHBOARD: Final = "dashboard.twitch.tv"

_CHANNEL_SECOND: Final = frozenset({"popout", "moderator", "embed", "u", "subs"})
"""First path segments on twitch.tv that are followed by a channel's login."""

_VIDEO_WORDS: Final = frozenset({"videos", "video", "v"})

# fmt: off
RESERVED: Final = frozenset({
    "about", "activate", "bits", "blog", "broadcast", "checkout", "clip", "clips", "collections",
    "communities", "dashboard", "directory", "discover", "downloads", "drops", "embed", "event", "events",
    "following", "friends", "inventory", "jobs", "legal", "login", "logout", "moderator", "p", "partner",
    "payments", "popout", "press", "prime", "privacy", "products", "redeem", "search", "security",
    "settings", "signup", "store", "subs", "subscriptions", "team", "teams", "terms", "turbo", "u", "user", "v",
    "video", "videos", "wallet",
})
"""First path segments of twitch.tv that are pages, not channels."""

_PAGES: Final = frozenset({
    "all", "annual", "auth", "browse", "category", "collection", "creatorcamp", "game", "messages",
    "notifications", "tags", "widgets",
})
"""More of them, of which none is known to be kept from channels: they are pages in addresses alone."""
# fmt: on

_ADVICE: Final = {
    "directory": "It lists channels and categories: open a channel, and give its address.",
    "collections": "A collection has many videos: give the address of one of them.",
    "team": "A team has many channels: give the address of one of them.",
    "teams": "A team has many channels: give the address of one of them.",
    "category": "It lists the channels of a category: open a channel, and give its address.",
    "browse": "It lists channels and categories: open a channel, and give its address.",
    "collection": "A collection has many videos: give the address of one of them.",
    "search": "It lists what was found: open a channel, a clip or a video, and give its address.",
    "videos": "The address of a video has its number, such as twitch.tv/videos/1234567890.",
    "event": "An event is not live itself: give the address of the channel that shows it.",
}
"""What to give instead of a page that many take for a target."""


def parse_target(text: str) -> TwitchTarget:
    """The target that a user means by a channel name, a clip slug, a video number or any Twitch address.

    A bare word is classified as follows: with a `-`, or with more than 25 characters, it is a clip's slug; with
    seven or more digits and nothing else a video's number; four or more capitalized words in at least 17
    characters (`AbrasivePlayfulMangoMau5`) are one of the old slugs; anything else is a channel. A channel whose
    display name looks like an old slug is reached in lower case, or by its address. Quotes and brackets around a
    word are ignored.

    Raises TwitchAudioError `invalid-input` with a sentence that says what is accepted.
    """
    text = _checked(text)
    word = text
    while len(word) > 2 and word[0] + word[-1] in _PAIRS:
        word = _checked(word[1:-1])
    if word.startswith(("@", "#")):
        # A mention in a chat, with what follows it in a sentence.
        word = word.rstrip(",.:;!?")
    if any(sign in word for sign in "/.:?"):
        return url_target(text)
    if word.isascii() and word.isdigit() and len(word) >= 7:
        return _named_video(word, 0.0)
    if "-" in word or len(word) > 25 or _is_old_slug(word):
        return _named_clip(word)
    return _named_channel(word)


def channel_target(text: str) -> ChannelTarget:
    """The channel with a login name, in any case and with or without `@` or `#`, or with any of its addresses.

    Raises TwitchAudioError `invalid-input`.
    """
    if _is_address(text):
        target = url_target(text)
        if isinstance(target, ChannelTarget):
            return target
        raise _another_kind(text, target, "channel")
    return _named_channel(text)


def _named_channel(name: str) -> ChannelTarget:
    name = _checked(name)
    name = name[1:] if name.startswith(("@", "#")) else name
    if _LOGIN.fullmatch(name) is None:
        raise invalid_input(
            f"{_shown(name)} is not a channel name: names have up to 25 letters, digits and underscores, as in "
            "the channel's address."
        )
    login = name.lower()
    if login in RESERVED:
        raise _a_page(name)
    return ChannelTarget(login)


def _a_page(name: str) -> TwitchAudioError:
    advice = _ADVICE.get(name.lower(), "")
    return invalid_input(f"{_shown(name)} is a page of Twitch, not a channel. {advice}".rstrip())


def moment_target(name: str, *, at: datetime, now: datetime) -> ChannelTarget:
    """The moment `at` of a channel's broadcast, by Twitch's clock, which may be a little ahead of ours.

    Raises TwitchAudioError `invalid-input`, `moment-gone`.
    """
    channel = channel_target(name)
    if at > now + _CLOCKS_DIFFER:
        raise invalid_input("This moment is yet to come: what was played can be asked for, up to now.")
    if now - at > timedelta(seconds=MAX_AGO_SECONDS):
        detail = "That was more than two days ago: no broadcast that is live now began so early."
        raise TwitchAudioError(ProblemCode.MOMENT_GONE, detail)
    return dataclasses.replace(channel, at=at)


def ago_target(name: str, *, ago_seconds: float, now: datetime) -> ChannelTarget:
    """What a channel played `ago_seconds` before what it plays `now`; 0: that. Raises `invalid-input`."""
    if not 0 <= ago_seconds <= MAX_AGO_SECONDS:  # NaN is neither
        raise invalid_input(f"How long ago is given in seconds, from 0 to {MAX_AGO_SECONDS:.0f}.")
    if not ago_seconds:
        return channel_target(name)
    target = moment_target(name, at=now - timedelta(seconds=ago_seconds), now=now)
    return dataclasses.replace(target, ago=ago_seconds)


def earlier(target: TwitchTarget, ago: str, now: datetime) -> TwitchTarget:
    """The target, `ago` seconds before now as users write them; none: the target itself.

    Raises TwitchAudioError `invalid-input`.
    """
    ago = ago.strip()
    if not ago:
        return target
    seconds = parse_moment(ago)
    if seconds is None:
        raise invalid_input(f"{_shown(ago)} is no time: how long ago is written in seconds, as 1m30s or as 1:30.")
    if not isinstance(target, ChannelTarget):
        raise invalid_input("How long ago is asked of a live channel alone.")
    return ago_target(target.login, ago_seconds=seconds, now=now)


def clip_target(text: str) -> ClipTarget:
    """The clip with a slug, which is case-sensitive, or with any of its addresses. Raises `invalid-input`."""
    if _is_address(text):
        target = url_target(text)
        if isinstance(target, ClipTarget):
            return target
        raise _another_kind(text, target, "clip")
    return _named_clip(text)


def _named_clip(slug: str) -> ClipTarget:
    slug = _checked(slug)
    if len(slug) > 128:
        raise invalid_input(f"{_shown(slug)} is too long for a clip slug: slugs have up to 128 characters.")
    if _SLUG.fullmatch(slug) is None:
        raise invalid_input(
            f"{_shown(slug)} is not a clip slug: slugs have letters, digits, hyphens and underscores, as in the "
            "clip's address."
        )
    if slug.isdigit():
        raise invalid_input(f"{_shown(slug)} is a video's number, not a clip's slug.")
    return ClipTarget(slug)


def video_target(text: str, at_seconds: float = 0.0) -> VideoTarget:
    """The moment `at_seconds` after the start of a video: its id, maybe after a `v`, or any of its addresses.

    The moment that an address names counts when no other is given. Raises TwitchAudioError `invalid-input`.
    """
    if _is_address(text):
        target = url_target(text)
        if isinstance(target, VideoTarget):
            return _named_video(target.video_id, at_seconds or target.at_seconds)
        raise _another_kind(text, target, "video")
    return _named_video(text, at_seconds)


def _named_video(video_id: str, at_seconds: float) -> VideoTarget:
    video_id = _checked(video_id)
    found = _VIDEO_ID.fullmatch(video_id)
    if found is None:
        raise invalid_input(f"{_shown(video_id)} is not a video ID: IDs have up to 15 digits.")
    if not math.isfinite(at_seconds) or not 0 <= at_seconds <= MAX_AT_SECONDS:
        raise invalid_input(f"The moment in a video is given in seconds from 0 to {MAX_AT_SECONDS:.0f}.")
    return VideoTarget(found[1], float(at_seconds))


def name_from(text: str) -> str:
    """The name of what an address of Twitch leads to; any other text as it is."""
    if not _TWITCH.match(text.strip()):
        return text
    try:
        return url_target(text).name
    except TwitchAudioError:
        return text


def _is_address(text: str) -> bool:
    """Whether a text is meant as an address rather than as a name, slug or id: none of those has such a sign."""
    return any(sign in text for sign in "/.:")


def _another_kind(text: str, target: TwitchTarget, wanted: str) -> TwitchAudioError:
    is_a = {Kind.STREAM: "channel", Kind.CLIP: "clip", Kind.VIDEO: "video"}[target.kind]
    return invalid_input(f"{_shown(text)} is the address of a {is_a}, not of a {wanted}.")


def url_target(text: str) -> TwitchTarget:
    """The target of a twitch.tv address, with or without its scheme, or of a text around exactly one address.

    Brackets, quotes and Markdown around the address are ignored, and what follows it in a sentence. Of `ADDRESS
    1:02:03` and of `ADDRESS at 1:02:03` the last word is the moment in a video that names none.
    Raises `invalid-input`.
    """
    words = _words(text := _checked(text))
    if len(words) > 2 and words[1].lower() in _BEFORE_MOMENT and _written_moment(words[2]) is not None:
        del words[1]
    if len(words) == 1:
        return _address_target(words[0])
    links = list(dict.fromkeys(word for word in words if _TWITCH.match(word)))
    if not links:
        other = next((word for word in words if "." in word), text)
        return _address_target(other)
    # In a longer text only a clock's time is meant as the moment.
    if words[:1] == links and (len(words) == 2 or ":" in words[1]):
        target = _address_target(links[0])
        moment = _written_moment(words[1])
        if isinstance(target, VideoTarget) and not target.at_seconds and moment is not None:
            return _named_video(target.video_id, moment)
        if len(words) == 2 and _PLAIN_WORD.fullmatch(words[1]) and _SPACES.match(text, len(words[0])):
            # Less likely a sentence than an address that was broken by a space.
            raise invalid_input(f"{_shown(text)} cannot be read as an address: it has a space in it.")
    targets = list(dict.fromkeys(_address_target(link) for link in links))
    if len(targets) > 1:
        raise invalid_input("This text has several addresses of Twitch: give one of them.")
    return targets[0]


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


def _written_moment(word: str) -> float | None:
    """The moment that is written behind an address, maybe as `t=1m`; None for another word."""
    return parse_moment(word.removeprefix("t="))


def _checked(text: str) -> str:
    text = _ESCAPES.sub(_unescaped, _BLANKS.sub(" ", _INVISIBLE.sub("", text)))
    if _WIDE_LETTER.search(text) and not _LETTER.search(text):
        text = text.translate(_WIDE)
    text = _WIDE_SIGNS.sub(lambda found: f"{found[1]}://" if found[1] else f"{found[2]}/", text).strip()
    if not text:
        raise invalid_input("Nothing was given: it takes a channel name, a clip, a video or a Twitch address.")
    if len(text) > MAX_TEXT:
        raise invalid_input(f"This is too long: a target has at most {MAX_TEXT} characters.")
    return text


def _unescaped(found: re.Match[str]) -> str:
    what = next(group for group in found.groups() if group is not None)
    return _ESCAPED.get(what.lower(), what)


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


# --- Addresses ----------------------------------------------------------------------------------------


def _words(text: str) -> list[str]:
    """The words of a text, without what is wrapped around them; `[text](address)` and `<address|text>` are one."""
    text = _LABELED.sub(r" \1 ", _MARKDOWN.sub(r" \1 ", text))
    for _ in range(2):  # hours and minutes, minutes and seconds
        text = _BROKEN_MOMENT.sub(r"\1", text)
    return [word for word in map(_unwrapped, _SPACES.split(text)) if word] or [text]


def _unwrapped(word: str) -> str:
    opening = ""
    if marks := _MARKS.match(word):
        opening, word = marks[0], word[marks.end() :]
    scheme = re.search(r"https?:/", word, re.ASCII | re.IGNORECASE)
    if scheme and scheme.start() and _WRAPPED.fullmatch(before := word[: scheme.start()]):
        # Of `href="https://..."` the address ends before the next such sign.
        word = _ENDS.split(word[scheme.start() :])[0]
        opening += before[len(before.rstrip("_*~|")) :]
    word = _FOREIGN.sub("", word).lstrip(_OPENING)
    if "_" in opening:
        word = word.rstrip(_CLOSING.translate({ord(sign): None for sign in "_*~|"}))
        word = word.removesuffix(opening[::-1])
    return _POSSESSIVE.sub("", word.rstrip(_CLOSING))


@dataclass(frozen=True, slots=True)
class _Address:
    """The parts of an address: the host in lower case, the decoded path, and the first value of each parameter.

    The parameters' names are in lower case. `at_seconds` is the moment that the address names, else 0.
    """

    host: str
    path: list[str]
    query: dict[str, str]
    at_seconds: float


def _address_target(url: str) -> TwitchTarget:
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
        raise invalid_input(f"{_shown(url)} is an address of Twitch, but of no channel, clip or video.")
    raise invalid_input(f"{_shown(url)} is not an address of Twitch.")


def _split(url: str) -> _Address:
    """The parts of an address. Anything that URL parsers disagree about is refused."""
    refusal = invalid_input(f"{_shown(url)} cannot be read as an address.")
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
    moment = 0.0 if text is None else parse_moment(text)
    if moment is None:
        raise invalid_input(f"{_shown(text or '')} is not a moment in a video: write 1h2m3s, 1:02:03 or seconds.")
    return moment


def _site_page(address: _Address) -> TwitchTarget:  # noqa: PLR0911, PLR0912 - one for each form
    """The target of a page on www.twitch.tv or one of its other host names."""
    path, at_seconds = address.path, address.at_seconds
    match [segment.lower() for segment in path[:2]]:
        case []:
            raise invalid_input("This is Twitch's front page: give the address of a channel, a clip or a video.")
        case ["clip" | "clips", _]:
            return _named_clip(path[1])
        case [word, _] if word in _VIDEO_WORDS:
            return _named_video(path[1], at_seconds)
        case ["popout", "moderator" | "u"] if len(path) > 2:
            return _named_channel(path[2])
        case [word, _] if word in _CHANNEL_SECOND:
            return _named_channel(path[1])
        case [_, "clip" | "c" | "b" | "v" | "video"] if len(path) == 2:
            raise invalid_input("This address ends where the clip or video should be named.")
        case [channel, "clip"]:
            return _clip_of(channel, path[2])
        case [channel, "clips"] if len(path) > 2:
            return _clip_of(channel, path[2])
        case [_, "v" | "video"]:
            return _named_video(path[2], at_seconds)
        case [_, "videos"] if len(path) > 2 and _VIDEO_ID.fullmatch(path[2]):
            return _named_video(path[2], at_seconds)
        case [_, "b" | "c"]:
            raise invalid_input("This is an address of Twitch's old archive, which is gone.")
        case [_, "schedule"] if "vodid" in address.query:
            return _named_video(address.query["vodid"], at_seconds)
        case _:
            if path[0].lower() in _PAGES:
                raise _a_page(path[0])
            return _named_channel(path[0])


def _clips_page(address: _Address) -> ClipTarget:
    """The target of a page on clips.twitch.tv. A clip's maker gets the one with `/edit`."""
    path = address.path
    if len(path) > 1 and path[-1].lower() == "edit":
        path = path[:-1]
    match path:
        case [word, *_] if word.lower() == "embed" and "clip" in address.query:
            return _named_clip(address.query["clip"].rpartition("/")[2])
        case [word, *_] if word.lower() in ("embed", "create", "clips", "edit"):
            raise invalid_input("This address of clips.twitch.tv names no clip.")
        case [slug]:
            return _named_clip(slug)
        case [channel, slug]:
            return _clip_of(channel, slug)
        case _:
            raise invalid_input("This address of clips.twitch.tv names no clip.")


def _clip_of(channel: str, slug: str) -> ClipTarget:
    login = channel.lower() if _LOGIN.fullmatch(channel) else None
    return dataclasses.replace(_named_clip(slug), channel=login)


def _player(address: _Address) -> TwitchTarget:
    """The target of a player.twitch.tv address; if it names a channel and a video, the channel, as Twitch does."""
    query = address.query
    if channel := query.get("channel") or query.get("stream"):
        return _named_channel(channel)
    if "video" in query:
        return _named_video(query["video"], address.at_seconds)
    if "clip" in query:
        return _named_clip(query["clip"])
    advice = f" {_ADVICE['collections']}" if "collection" in query else ""
    raise invalid_input(f"This player's address names neither a channel nor a video.{advice}")


def _dashboard(address: _Address) -> ChannelTarget:
    """The channel of a page on dashboard.twitch.tv, such as `/u/NAME/stream-manager`."""
    path = address.path[1:] if address.path and address.path[0].lower() == "popout" else address.path
    if len(path) < 2 or path[0].lower() not in ("u", "moderator"):
        raise invalid_input("This page of the dashboard names no channel.")
    return _named_channel(path[1])
