"""Which recognizers are asked, in which order, and how often: by the settings, or as an operator chose since."""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fingerprint.domain.budgets import Budgets
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.recognizers import REGISTRY
from fingerprint.recognizers.chain import Choose, Member

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerChoice:
    """The recognizers in the order in which they are asked, and the budgets of those that cost something."""

    names: tuple[str, ...]
    budgets: Budgets

    @property
    def paid(self) -> tuple[str, ...]:
        """The names of those that cost something, in their order."""
        return tuple(name for name in self.names if not REGISTRY[name].free)


CurrentChoice = Callable[[], Awaitable[RecognizerChoice]]
"""The choice that holds now. Fast, and raises nothing."""


def available_names(settings: PipelineSettings) -> tuple[str, ...]:
    """The recognizers that can be chosen: those that have what they need, such as keys."""
    return tuple(name for name in REGISTRY if unusable_reason(settings, name) is None)


def unusable_reason(settings: PipelineSettings, name: str) -> str | None:
    """Why a recognizer cannot be asked with these settings, a sentence; None when it can."""
    entry = REGISTRY.get(name)
    if entry is None:
        return f"There is no recognizer {name[:50]!r}: there are {', '.join(REGISTRY)}."
    if name == "learned" and not settings.learns:
        return "learned is asked with TWITCHAUDIO_LEARN=on only."
    return None if entry.is_configured(settings) else f"{name} cannot be asked: its keys are not set."


def check_order(names: Sequence[str], unusable: Callable[[str], str | None]) -> None:
    """Check an order that an operator chose. Raises TwitchAudioError `invalid-input`, which says what is wrong.

    `unusable`: as `unusable_reason`.
    """
    if not names:
        raise invalid_input("Choose at least one recognizer: without any, no song is named.")
    for name in names:
        reason = unusable(name)
        if reason is not None:
            raise invalid_input(reason)
        if names.count(name) > 1:
            raise invalid_input(f"{name} is named twice.")


def check_budgets(budgets: Budgets) -> None:
    """Check budgets that an operator chose. Raises TwitchAudioError `invalid-input`, which says what is wrong."""
    paid = [name for name, entry in REGISTRY.items() if not entry.free]
    for name in budgets:
        if name not in paid:
            raise invalid_input(f"{name[:50]} has no budget: there are budgets of {', '.join(paid)}.")


def chosen_instead(
    of_settings: RecognizerChoice,
    override: RecognizerOverride,
    unusable: Callable[[str], str | None],
) -> RecognizerChoice:
    """What holds where an operator chose an order or budgets in place of the settings'.

    What cannot be asked here is left out and logged; where nothing of the order is left, the setting holds.
    `unusable`: as `unusable_reason`.
    """
    names: list[str] = []
    for name in override.order or ():
        reason = unusable(name)
        if reason is None:
            names.append(name)
        else:
            _log.warning("recognizer_not_usable_here", extra={"recognizer": name, "detail": reason})
    budgets = of_settings.budgets if override.budgets is None else override.budgets
    return RecognizerChoice(names=tuple(names) or of_settings.names, budgets=budgets)


def fixed_choice(choice: RecognizerChoice) -> CurrentChoice:
    """A choice that stays."""

    async def current() -> RecognizerChoice:
        return choice

    return current


def chosen_by(current: CurrentChoice) -> Choose:
    """Asks the members that are chosen now, in the order that was chosen."""

    async def choose(members: Sequence[Member]) -> Sequence[Member]:
        by_name = {member.recognizer.name: member for member in members}
        return [by_name[name] for name in (await current()).names if name in by_name]

    return choose


def budgeted_by(current: CurrentChoice) -> Choose:
    """Asks the providers that have a budget: others are not asked the many questions of a whole recording."""

    async def choose(members: Sequence[Member]) -> Sequence[Member]:
        budgets = (await current()).budgets
        return [member for member in await chosen(members) if member.recognizer.name in budgets]

    chosen = chosen_by(current)
    return choose
