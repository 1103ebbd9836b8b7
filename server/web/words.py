"""What the pages say about each problem: a heading in plain words, and what to do next."""

import re
from dataclasses import dataclass, replace
from typing import Final

from fingerprint.domain.problems import PROBLEM_KINDS, Problem, ProblemCode
from server.web.languages import Language, marked


@dataclass(frozen=True, slots=True)
class Words:
    """A heading, and the next step for the person who reads it."""

    heading: str
    next_step: str

    def translated(self, language: Language) -> "Words":
        """The same in another language."""
        return Words(language.gettext(self.heading), language.gettext(self.next_step))

    def below(self, detail: str) -> str:
        """A detail below the heading; empty where it only repeats it."""
        return "" if detail.removesuffix(".") == self.heading else detail


WORDS: Final = {code: Words(kind.heading, kind.next_step) for code, kind in PROBLEM_KINDS.items()}
"""The words for each problem code, in English: the ids of their translations."""

_FOR_THE_OPERATOR: Final = marked("Trying again won't help. Please tell the operator of this service.")
"""The next step for what lasts, such as a setting that is wrong."""
_ONLY_WHEN: Final = frozenset(
    {
        ProblemCode.AD_BREAK,
        ProblemCode.BUSY,
        ProblemCode.JOB_IN_PROGRESS,
        ProblemCode.RATE_LIMITED,
        ProblemCode.UPSTREAM_UNAVAILABLE,
    }
)
"""Problems whose next step is to wait: where the seconds are counted down, they say it."""
_SAYS_WHAT_TO_DO: Final = re.compile(r"\b(?:[Tt]ry again|[Ss]ign in (?:again|with)|Come back|Enter|Write|type)\b")


def words_of(problem: Problem, language: Language, *, counted: bool = False) -> Words:
    """A problem's words; without a next step where its detail, or the seconds counted down beside it, say one."""
    words = WORDS[problem.code].translated(language)
    waits = counted and bool(problem.retry_after_seconds) and problem.code in _ONLY_WHEN
    if waits or _SAYS_WHAT_TO_DO.search(problem.detail):
        return replace(words, next_step="")
    if problem.code is ProblemCode.UPSTREAM_UNAVAILABLE and problem.retry_after_seconds is None:
        return replace(words, next_step=language.gettext(_FOR_THE_OPERATOR))
    return words


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
