"""What the pages say about each problem: a heading in plain words, and what to do next."""

from dataclasses import dataclass
from typing import Final

from fingerprint.domain.problems import PROBLEM_KINDS
from server.web.languages import Language, marked


@dataclass(frozen=True, slots=True)
class Words:
    """A heading, and the next step for the person who reads it."""

    heading: str
    next_step: str

    def translated(self, language: Language) -> "Words":
        """The same in another language."""
        return Words(language.gettext(self.heading), language.gettext(self.next_step))


WORDS: Final = {code: Words(kind.heading, kind.next_step) for code, kind in PROBLEM_KINDS.items()}
"""The words for each problem code, in English: the ids of their translations."""

NO_MATCH: Final = Words(
    marked("No match this time"),
    marked("Try again when the music is clearer. Voices, remixes and live versions can be hard to recognize."),
)

NO_MATCH_RECORDED: Final = Words(
    marked("No match"),
    marked(
        "Voices, remixes and live versions can be hard to recognize. Another clip or moment of the broadcast may "
        "help. Some channels keep their music out of videos and clips, so a song that played live may be "
        "missing here."
    ),
)
"""For clips and videos, which will sound the same tomorrow."""

NETWORK: Final = Words(
    marked("The server cannot be reached"),
    marked("Check your connection and try again."),
)
