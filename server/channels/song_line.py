"""Formats an answer as one plain line for a chat. Pure functions.

Every line begins with a word of ours, so that no song's title can be read by a chat as a command (`/ban`, `!so`).
"""

from typing import Final

from fingerprint.domain.identification import PROBABLY, Identification, Status, seconds_ago
from fingerprint.domain.problems import Problem
from fingerprint.domain.text import clean_text, clock_text

LINE_LIMIT: Final = 400
"""The longest line that chat bots accept, in characters."""

_TITLE_LIMIT: Final = 200
_ARTISTS_LIMIT: Final = 150


def cut(text: str, limit: int) -> str:
    """The text on one line, of at most `limit` characters; a text that was cut ends with `…`."""
    line = " ".join(clean_text(text, 2 * limit + 2).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def song_line(identification: Identification) -> str:
    """The line for a finished answer, or for one that is still being made."""
    channel = identification.target
    if identification.problem is not None:
        return problem_line(identification.problem)
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
    """The line for a refusal or a failure."""
    return cut(f"Sorry: {problem.detail}", LINE_LIMIT)
