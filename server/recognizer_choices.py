"""Which recognizers this server asks now: those of its settings, or those that an operator chose since.

What was chosen is read with the operator's other rules, so that every server follows within two seconds.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from fingerprint.domain.budgets import Budgets
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.providers.guard import ProviderGuards, ProviderStatus
from fingerprint.recognizer_choice import (
    RecognizerChoice,
    check_budgets,
    check_order,
    chosen_instead,
    unusable_reason,
)
from fingerprint.recognizers import REGISTRY
from fingerprint.wiring import choice_of

_log: Final = logging.getLogger(__name__)

ReadOverride = Callable[[], Awaitable[RecognizerOverride]]
"""What an operator chose. Raises TwitchAudioError `busy`."""


class RecognizerChoices:
    """The choice that holds. `elsewhere`: a Lambda function asks, which may have keys that are not set here."""

    def __init__(
        self, settings: PipelineSettings, guards: ProviderGuards, read: ReadOverride, *, elsewhere: bool = False
    ) -> None:
        self._settings = settings
        self._guards = guards
        self._read = read
        self._elsewhere = elsewhere
        self._of_settings = choice_of(settings)
        self._override = RecognizerOverride()
        self._known = self._of_settings
        for name, entry in REGISTRY.items():
            if not entry.free and self.unusable_reason(name) is None:
                guards.of(name)

    @property
    def of_settings(self) -> RecognizerChoice:
        """The order and the budgets that the settings say."""
        return self._of_settings

    @property
    def known(self) -> RecognizerChoice:
        """The choice as it was last read."""
        return self._known

    async def current(self) -> RecognizerChoice:
        """The choice that holds now; the last known one while the rules cannot be read."""
        try:
            override = await self._read()
        except TwitchAudioError:
            return self._known
        if override != self._override:
            self._follow(override)
        return self._known

    async def chosen(self) -> RecognizerOverride:
        """What an operator chose; the last known choice while the rules cannot be read."""
        await self.current()
        return self._override

    async def statuses(self) -> Sequence[ProviderStatus]:
        """The status of each provider that is asked now."""
        await self.current()
        return await self.known_statuses()

    async def known_statuses(self) -> Sequence[ProviderStatus]:
        """The same by the choice as it was last read: the rules are not read for it."""
        return [status for status in await self._guards.statuses() if status.name in self._known.names]

    def unusable_reason(self, name: str) -> str | None:
        """Why a recognizer cannot be chosen, a sentence; None when it can."""
        if self._elsewhere and name in REGISTRY:
            return None
        return unusable_reason(self._settings, name)

    def check_order(self, names: Sequence[str]) -> None:
        """Check an order before it is stored. Raises TwitchAudioError `invalid-input`."""
        check_order(names, self.unusable_reason)

    @staticmethod
    def check_budgets(budgets: Budgets) -> None:
        """Check budgets before they are stored. Raises TwitchAudioError `invalid-input`."""
        check_budgets(budgets)

    def _follow(self, override: RecognizerOverride) -> None:
        self._override = override
        self._known = chosen_instead(self._of_settings, override, self.unusable_reason)
        self._guards.set_budgets(self._known.budgets)
        _log.info("recognizers_chosen", extra={"recognizers": ", ".join(self._known.names)})
