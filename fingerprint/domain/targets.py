"""What can be identified, and how users write it: names, slugs, ids and every form of Twitch address."""

import dataclasses
import re
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.copied_text import SPACES, cleaned, shown, words_of
from fingerprint.domain.identification import Identification, IdentificationId, Kind
from fingerprint.domain.link_wrappers import carried_address
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.target_kinds import (
    AskedTarget,
    ChannelTarget,
    ClipTarget,
    FileTarget,
    Target,
    TwitchTarget,
    UploadTarget,
    VideoTarget,
)
from fingerprint.domain.target_names import MAX_AT_SECONDS, is_old_slug, named_channel, named_clip, named_video
from fingerprint.domain.text import clean_text
from fingerprint.domain.twitch_addresses import address_target, parse_moment

__all__ = [
    "MAX_AGO_SECONDS",
    "MAX_AT_SECONDS",
    "MAX_UPLOAD_SOUND_SECONDS",
    "AskedTarget",
    "ChannelTarget",
    "ClipTarget",
    "FileTarget",
    "Target",
    "TwitchTarget",
    "UploadTarget",
    "VideoTarget",
    "ago_target",
    "asked_now",
    "channel_target",
    "clip_target",
    "earlier",
    "moment_target",
    "name_from",
    "parse_moment",
    "parse_target",
    "url_target",
    "video_target",
    "yet_to_come",
]

MAX_UPLOAD_SOUND_SECONDS: Final = 60.0
"""How much of an uploaded recording is listened to."""

_CLOCKS_DIFFER: Final = timedelta(minutes=30)
"""How far ahead of ours the clock of Twitch may be. Whether a moment is yet to come, the live edge tells: see
`at_edge` of the time line."""

MAX_AGO_SECONDS: Final = 172_800.0
"""The longest ago that a live channel can be asked about: Twitch ends broadcasts after 48 hours."""
_PAIRS: Final = frozenset(
    {"<>", "()", "[]", "{}", '""', "''", "``", "**", "~~", "||", "\u2018\u2019", "\u201c\u201d", "\u00ab\u00bb"}
)
_TWITCH: Final = re.compile(
    r"(?:(?:https?:/+)+|/+)?(?:[a-z0-9-]+\.)*twitch\.tv\.?(?::[0-9]*)?(?:/+[^/]|[?#])", re.ASCII | re.IGNORECASE
)
_BEFORE_MOMENT: Final = frozenset(
    {"at", "@", "-", "\u2013", "\u2014", "ab", "from", "around", "bei", "um", "\u00e0", "vers", "en", "\u2192"}
)
"""Words between an address and the moment that is meant."""

_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def parse_target(text: str) -> TwitchTarget:
    """The target that a user means by a channel name, a clip slug, a video number or any Twitch address.

    A bare word is classified as follows: with a `-`, or with more than 25 characters, it is a clip's slug; with
    seven or more digits and nothing else a video's number; four or more capitalized words in at least 17
    characters (`AbrasivePlayfulMangoMau5`) are one of the old slugs; anything else is a channel. A channel whose
    display name looks like an old slug is reached in lower case, or by its address. Quotes and brackets around a
    word are ignored.

    Raises TwitchAudioError `invalid-input` with a sentence that says what is accepted.
    """
    text = cleaned(text)
    word = text
    while len(word) > 2 and word[0] + word[-1] in _PAIRS:
        word = cleaned(word[1:-1])
    if word.startswith(("@", "#")):
        # A mention in a chat, with what follows it in a sentence.
        word = word.rstrip(",.:;!?")
    if any(sign in word for sign in "/.:?"):
        return url_target(text)
    if word.isascii() and word.isdigit() and len(word) >= 7:
        return named_video(word, 0.0)
    if "-" in word or len(word) > 25 or is_old_slug(word):
        return named_clip(word)
    return named_channel(word)


def channel_target(text: str) -> ChannelTarget:
    """The channel with a login name, in any case and with or without `@` or `#`, or with any of its addresses.

    Raises TwitchAudioError `invalid-input`.
    """
    if _is_address(text):
        target = url_target(text)
        if isinstance(target, ChannelTarget):
            return target
        raise _another_kind(text, target, "channel")
    return named_channel(text)


def moment_target(name: str, *, at: datetime, now: datetime) -> ChannelTarget:
    """The moment `at` of a channel's broadcast, by Twitch's clock, which may be ahead of ours.

    Raises TwitchAudioError `invalid-input`, `moment-gone`.
    """
    channel = channel_target(name)
    if at > now + _CLOCKS_DIFFER:
        raise yet_to_come()
    if now - at > timedelta(seconds=MAX_AGO_SECONDS):
        detail = "That was more than two days ago: no broadcast that is live now began so early."
        raise TwitchAudioError(ProblemCode.MOMENT_GONE, detail)
    return dataclasses.replace(channel, at=at)


def yet_to_come() -> TwitchAudioError:
    """The error `invalid-input` for a moment that was not broadcast yet."""
    return invalid_input("This moment is yet to come: what was played can be asked for, up to now.")


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
        raise invalid_input(f"{shown(ago)} is not a time. Write how long ago in seconds, or as 1m30s or 1:30.")
    if not isinstance(target, ChannelTarget):
        raise invalid_input("Only a live channel takes how long ago.")
    return ago_target(target.login, ago_seconds=seconds, now=now)


def clip_target(text: str) -> ClipTarget:
    """The clip with a slug, which is case-sensitive, or with any of its addresses. Raises `invalid-input`."""
    if _is_address(text):
        target = url_target(text)
        if isinstance(target, ClipTarget):
            return target
        raise _another_kind(text, target, "clip")
    return named_clip(text)


def video_target(text: str, at_seconds: float = 0.0) -> VideoTarget:
    """The moment `at_seconds` after the start of a video: its id, maybe after a `v`, or any of its addresses.

    The moment that an address names counts when no other is given. Raises TwitchAudioError `invalid-input`.
    """
    if _is_address(text):
        target = url_target(text)
        if isinstance(target, VideoTarget):
            return named_video(target.video_id, at_seconds or target.at_seconds)
        raise _another_kind(text, target, "video")
    return named_video(text, at_seconds)


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
    return invalid_input(f"{shown(text)} is the address of a {is_a}, not of a {wanted}.")


def url_target(text: str) -> TwitchTarget:
    """The target of a twitch.tv address, with or without its scheme, or of a text around exactly one address.

    Brackets, quotes and Markdown around the address are ignored, what follows it in a sentence, and a link of
    another site that leads to it. Of `ADDRESS
    1:02:03`, `ADDRESS at 1:02:03` and `1:02:03 ADDRESS` the time is the moment in a video that names none.
    Raises `invalid-input`.
    """
    text = cleaned(text)
    words = [carried_address(word) for word in words_of(text)]
    if len(words) > 2 and words[1].lower() in _BEFORE_MOMENT and _written_moment(words[2]) is not None:
        del words[1]
    if len(words) == 1:
        return address_target(words[0])
    if ":" in words[0] and _written_moment(words[0]) is not None:
        link = 2 if len(words) > 2 and words[1].lower() in _BEFORE_MOMENT else 1
        if _TWITCH.match(words[link]):
            words[: link + 1] = words[link], words[0]
    links = list(dict.fromkeys(word for word in words if _TWITCH.match(word)))
    if not links:
        other = next((word for word in words if "." in word), text)
        return address_target(other)
    # In a longer text only a clock's time is meant as the moment.
    if words[:1] == links and (len(words) == 2 or ":" in words[1]):
        target = address_target(links[0])
        moment = _written_moment(words[1])
        if isinstance(target, VideoTarget) and not target.at_seconds and moment is not None:
            return named_video(target.video_id, moment)
        if len(words) == 2 and _PLAIN_WORD.fullmatch(words[1]) and SPACES.match(text, len(words[0])):
            # Less likely a sentence than an address that was broken by a space.
            raise invalid_input(f"{shown(text)} cannot be read as an address: it has a space in it.")
    targets = list(dict.fromkeys(address_target(link) for link in links))
    if len(targets) > 1:
        raise invalid_input("This text has several Twitch addresses. Enter just one of them.")
    return targets[0]


def _written_moment(word: str) -> float | None:
    """The moment that is written behind an address, maybe as `t=1m`; None for another word."""
    return parse_moment(word.removeprefix("t="))


def asked_now(target: Target, now: datetime, identification_id: IdentificationId) -> Identification:
    """The identification that a question about a target begins."""
    channel = target if isinstance(target, ChannelTarget) else None
    return Identification(
        id=identification_id,
        kind=target.kind,
        target=clean_text(target.name),
        created_at=now,
        at_seconds=target.at_seconds if isinstance(target, VideoTarget) else None,
        asked_at=None if channel is None else channel.at,
        asked_ago=None if channel is None else channel.ago,
    )
