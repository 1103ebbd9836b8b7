"""Formats an answer as one plain line for a chat. Pure functions.

Every line begins with a word, and with one of ours unless its form says otherwise, so that no song's title can be
read by a chat as a command (`/ban`, `!so`).
"""

import re
from typing import Final

from fingerprint.domain.identification import PROBABLY, Identification, Song, Status, seconds_ago
from fingerprint.domain.links import links_of
from fingerprint.domain.problems import PROBLEM_KINDS, Problem, ProblemCode, invalid_input
from fingerprint.domain.text import clean_text, clock_text

LINE_LIMIT: Final = 400
"""The longest line that chat bots accept, in characters."""

FORM_LIMIT: Final = 200
FIELDS: Final = ("title", "artist", "album", "link", "ago", "channel")
"""What the form of a line may name, in braces."""

_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_TITLE_LIMIT: Final = 200
_ARTISTS_LIMIT: Final = 150


def cut(text: str, limit: int) -> str:
    """The text on one line, of at most `limit` characters; a text that was cut ends with `…`."""
    line = " ".join(clean_text(text, 2 * limit + 2).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def check_form(form: str) -> None:
    """Raise TwitchAudioError `invalid-input` unless `song_line` can write a song in this form."""
    if len(form) > FORM_LIMIT:
        raise invalid_input(f"The format has more than {FORM_LIMIT} characters.")
    unknown = [name for name in _FIELD.findall(form) if name not in FIELDS]
    if unknown or any(sign in _FIELD.sub("", form) for sign in "{}"):
        named = f", not {{{cut(unknown[0], 30)}}}" if unknown else ""
        raise invalid_input(f"The format knows {', '.join(f'{{{name}}}' for name in FIELDS)}{named}.")


def _in_form(form: str, identification: Identification, song: Song) -> str:
    """The song in a form such as `{artist} - {title} {link}`. What is not known is left out."""
    ago = seconds_ago(identification)
    values = {
        "title": cut(song.title, _TITLE_LIMIT),
        "artist": cut(", ".join(song.artists), _ARTISTS_LIMIT),
        "album": cut(song.album or "", _TITLE_LIMIT),
        "link": next(filter(None, links_of(song).values()), None) or "",
        "ago": "" if ago is None else clock_text(ago + 0.5),
        "channel": identification.target,
    }
    line = cut(_FIELD.sub(lambda found: values[found[1]], form), LINE_LIMIT).strip(" -|,")
    if identification.is_probable:
        line = f"{PROBABLY}: {line}"
    # A chat reads some signs as the beginning of a command.
    return cut(line if line[:1].isalpha() else f"Song: {line}", LINE_LIMIT)


def song_line(identification: Identification, form: str = "") -> str:
    """The line for a finished answer, or for one that is still being made. `form`: see `check_form`."""
    channel = identification.target
    if identification.problem is not None:
        return problem_line(identification.problem)
    if identification.song is not None and form:
        return _in_form(form, identification, identification.song)
    if identification.song is not None:
        song = identification.song
        by = f" by {cut(', '.join(song.artists), _ARTISTS_LIMIT)}" if song.artists else ""
        ago = seconds_ago(identification)
        intro = "Now playing" if ago is None else f"Played {clock_text(ago + 0.5)} ago"
        intro += f", {PROBABLY.lower()}" if identification.is_probable else ""
        return cut(f"{intro}: {cut(song.title, _TITLE_LIMIT)}{by}", LINE_LIMIT)
    if identification.status is Status.NO_MATCH and identification.asked_at is not None:
        return cut(f"No match for what {channel} played then. Try another moment.", LINE_LIMIT)
    if identification.status is Status.NO_MATCH:
        return cut(f"No match for what is playing on {channel}. Try again when the music is clearer.", LINE_LIMIT)
    return still_listening(channel)


def still_listening(channel: str) -> str:
    """The line when the answer takes longer than a chat bot waits."""
    return cut(f"Still listening to {channel}. Try again in a few seconds.", LINE_LIMIT)


def problem_line(problem: Problem) -> str:
    """The line for a refusal or a failure. What an operator can do about it is not for chats."""
    kind = PROBLEM_KINDS[problem.code]
    said = f"{kind.heading}." if problem.code is ProblemCode.RECOGNIZER_UNAVAILABLE else problem.detail
    return cut(f"Sorry: {said}", LINE_LIMIT)
