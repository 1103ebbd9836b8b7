"""What the pages say about each problem: a heading in plain words, and what to do next."""

from dataclasses import dataclass
from typing import Final

from fingerprint.domain.problems import PROBLEM_KINDS


@dataclass(frozen=True, slots=True)
class Words:
    """A heading, and the next step for the person who reads it."""

    heading: str
    next_step: str


WORDS: Final = {code: Words(kind.heading, kind.next_step) for code, kind in PROBLEM_KINDS.items()}
"""The words for each problem code."""

NO_MATCH: Final = Words(
    "No match this time",
    "Try again when the music is clearer. Voices, remixes and live versions can be hard to recognize.",
)

NO_MATCH_RECORDED: Final = Words(
    "No match",
    "Voices, remixes and live versions can be hard to recognize. Another clip or moment of the broadcast may "
    "help. Some channels keep their music out of videos and clips, so a song that played live may be "
    "missing here.",
)
"""For clips and videos, which will sound the same tomorrow."""

NETWORK: Final = Words(
    "The server cannot be reached",
    "Check your connection and try again.",
)
