"""What an operator chose for the recognizers, in place of the settings."""

from dataclasses import dataclass

from fingerprint.domain.budgets import Budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerOverride:
    """What an operator chose; None where the setting holds. Budgets may be chosen to be none."""

    order: tuple[str, ...] | None = None
    budgets: Budgets | None = None
