"""The details of problems in the page's language.

The API's details are in English, for its clients, and are stored with answers. The commonest ones are translated
here by their wording; a page in another language leaves out the others: heading and next step say the essential.
"""

import re
from functools import lru_cache
from typing import Final

from server.web.languages import ENGLISH, Language, marked

DETAILS: Final = (
    marked("The operator has blocked this."),
    marked("The operator has switched live streams and their recordings off."),
    marked("The operator has switched clips off."),
    marked("The operator has switched the service off."),
    marked("We are working on the service. Come back in a while."),
    marked("Sign in with Twitch to use this server."),
    marked("This server is invite-only: you need an invitation or an access code."),
    marked(
        "This server is for subscribers, and Twitch is not telling us whether you are one. Try again in a moment."
    ),
    marked("This server is for subscribers of %(names)s, or people with an access code."),
    marked("This server is for subscribers of %(names)s. Sign in again and allow us to check your subscription."),
    marked(
        "%(text)s is not a channel name: names have up to 25 letters, digits and underscores, as in the "
        "channel's address."
    ),
    marked("%(text)s is not a Twitch address."),
    marked("%(text)s is a Twitch address, but not one of a channel, clip or video."),
    marked("%(text)s cannot be read as an address."),
    marked("Nothing was entered. Enter a channel name, a clip, a video or a Twitch address."),
    marked("This text has several Twitch addresses. Enter just one of them."),
    marked("There is no channel '%(channel)s' on Twitch, or it is banned."),
    marked("The channel '%(channel)s' was renamed: it is now called '%(now)s'."),
    marked("This channel is not live at the moment."),
    marked("This channel's broadcast has just ended."),
    marked("This clip does not exist on Twitch; it may have been deleted."),
    marked("There is no video %(video)s on Twitch. It may have been deleted."),
    marked("The live stream has moved on."),
    marked("This moment cannot be heard any more: the live stream has moved on, and no recording has it."),
    marked(
        "This moment cannot be heard any more: the live stream has moved on, and its recording may be for "
        "subscribers only."
    ),
    marked(
        "This moment cannot be heard any more: the live stream has moved on, and its recording has no sound "
        "there: Twitch may have muted it."
    ),
    marked("Only advertisements are playing at the moment, for about %(seconds)s more seconds."),
    marked("Only advertisements are playing at the moment, and Twitch does not say for how long."),
    marked("There is no answer at this address."),
    marked("The server answered %(status)s."),
    marked("There is no song with this id, or it has not been heard here yet."),
    marked("The %(hours)s hours of VODs that you can have listened to in a day are used up."),
    marked("Write the day like this: 2026-03-01."),
    marked("The day has to be one of this century."),
    marked("Write the time zone like this: Europe/Berlin."),
    marked("Nothing was deleted. To delete everything, type %(login)s into the field."),
    marked("Only the channel's owner, signed in with Twitch, manages its tokens."),
    marked("Enter your channel's name, such as somechannel."),
    marked("The overlay has no option '%(option)s': it has %(options)s."),
    marked("The overlay's %(option)s takes %(takes)s, not '%(text)s'."),
    marked("This sign-in was started in another browser, or too long ago. Sign in again from the start."),
    marked("Twitch says that you did not agree. Nothing was changed; sign in again if you want to."),
    marked("Twitch could not sign you in just now. Try again in a moment."),
    marked("Sign-in is not available: the operator has not set up a Twitch application."),
    marked("Our database did not answer in time. Try again in a moment."),
    marked("Too many requests came from this address. Try again in a moment."),
)
"""What problems say in `detail`; `%(name)s` is any text."""


def translated_detail(detail: str, language: Language) -> str:
    """A problem's detail in a language; empty where it has no words for it."""
    if language is ENGLISH:
        return detail
    for message, pattern in _patterns():
        found = pattern.fullmatch(detail)
        if found:
            values = {name: language.translations.gettext(text) for name, text in found.groupdict().items()}
            return language.gettext(message, **values)
    return ""


def is_known_detail(detail: str) -> bool:
    """Whether a detail is one that pages have words for, in any language."""
    return any(pattern.fullmatch(detail) for _, pattern in _patterns())


def details_of(language: Language) -> list[tuple[str, str]]:
    """The details with their translations, for scripts."""
    return [(message, language.translations.gettext(message)) for message in DETAILS]


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((message, _pattern(message)) for message in DETAILS)


def _pattern(message: str) -> re.Pattern[str]:
    parts = re.split(r"%\((\w+)\)s", message)
    return re.compile(
        "".join(f"(?P<{part}>.+?)" if number % 2 else re.escape(part) for number, part in enumerate(parts)),
        re.DOTALL,
    )
