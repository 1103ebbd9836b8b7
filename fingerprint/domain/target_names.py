"""Names of channels, slugs of clips and numbers of videos, and which words of Twitch's addresses are none."""

import math
import re
from typing import Final

from fingerprint.domain.copied_text import cleaned, shown
from fingerprint.domain.problems import TwitchAudioError, invalid_input
from fingerprint.domain.target_kinds import ChannelTarget, ClipTarget, VideoTarget

MAX_AT_SECONDS: Final = 1_000_000.0
"""The latest moment in a video that can be asked for; Twitch cuts broadcasts long before."""

# All patterns are linear: single classes with bounds, no alternatives that overlap.
LOGIN: Final = re.compile(r"[A-Za-z0-9_]{1,25}", re.ASCII)
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
VIDEO_ID: Final = re.compile(r"[vV]?([1-9][0-9]{0,14})", re.ASCII)
_CAMEL_WORD: Final = re.compile(r"[A-Z][^A-Z]*", re.ASCII)

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

ADVICE: Final = {
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



def named_channel(name: str) -> ChannelTarget:
    """The channel with a login, maybe after `@` or `#`. Raises `invalid-input`."""
    name = cleaned(name)
    name = name[1:] if name.startswith(("@", "#")) else name
    if LOGIN.fullmatch(name) is None:
        raise invalid_input(
            f"{shown(name)} is not a channel name: names have up to 25 letters, digits and underscores, as in "
            "the channel's address."
        )
    login = name.lower()
    if login in RESERVED:
        raise page_refusal(name)
    return ChannelTarget(login)



def page_refusal(name: str) -> TwitchAudioError:
    """The refusal of a page of Twitch that was given as a channel."""
    advice = ADVICE.get(name.lower(), "")
    return invalid_input(f"{shown(name)} is a page of Twitch, not a channel. {advice}".rstrip())



def named_clip(slug: str) -> ClipTarget:
    """The clip with a slug. Raises `invalid-input`."""
    slug = cleaned(slug)
    if len(slug) > 128:
        raise invalid_input(f"{shown(slug)} is too long for a clip slug: slugs have up to 128 characters.")
    if _SLUG.fullmatch(slug) is None:
        raise invalid_input(
            f"{shown(slug)} is not a clip slug: slugs have letters, digits, hyphens and underscores, as in the "
            "clip's address."
        )
    if slug.isdigit():
        raise invalid_input(f"{shown(slug)} is a video's number, not a clip's slug.")
    return ClipTarget(slug)



def named_video(video_id: str, at_seconds: float) -> VideoTarget:
    """A moment of the video with a number, maybe after a `v`. Raises `invalid-input`."""
    video_id = cleaned(video_id)
    found = VIDEO_ID.fullmatch(video_id)
    if found is None:
        raise invalid_input(f"{shown(video_id)} is not a video ID: IDs have up to 15 digits.")
    if not math.isfinite(at_seconds) or not 0 <= at_seconds <= MAX_AT_SECONDS:
        raise invalid_input(f"The moment in a video is given in seconds from 0 to {MAX_AT_SECONDS:.0f}.")
    return VideoTarget(found[1], float(at_seconds))



def is_old_slug(word: str) -> bool:
    """Whether a word looks like a clip's slug of the old kind: capitalized words and nothing between them."""
    if len(word) < 17 or "_" in word:
        return False
    capitalized = _CAMEL_WORD.findall(word)
    return (
        len(capitalized) >= 4
        and sum(map(len, capitalized)) == len(word)
        and all(len(part) >= 3 for part in capitalized[:3])
    )
