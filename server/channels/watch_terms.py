"""How often a watched channel is identified, and how many times: the bounds of a watch."""

from typing import Final

from fingerprint.domain.problems import invalid_input

EVERY_SECONDS: Final = 60
EVERY_LEAST, EVERY_MOST = 15, 3_600
BUDGET: Final = 1_000
BUDGET_MOST: Final = 100_000


def watch_terms(every: object, budget: object) -> tuple[int, int]:
    """The interval in seconds and the budget, checked against their bounds.

    Raises TwitchAudioError `invalid-input`.
    """
    if not isinstance(every, int) or isinstance(every, bool) or not EVERY_LEAST <= every <= EVERY_MOST:
        raise invalid_input(f"every takes a whole number of seconds from {EVERY_LEAST} to {EVERY_MOST}.")
    if not isinstance(budget, int) or isinstance(budget, bool) or not 1 <= budget <= BUDGET_MOST:
        raise invalid_input(f"budget takes a whole number of identifications from 1 to {BUDGET_MOST}.")
    return every, budget
