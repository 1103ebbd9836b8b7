"""The form of `/admin/recognizers`: in which order recognizers are asked, and how often the paid ones may be."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from aiohttp import web

from fingerprint.domain.budgets import Budget, Budgets, Period, budgets_text
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.providers.guard import ProviderStatus
from fingerprint.recognizer_choice import RecognizerChoice, unusable_reason
from fingerprint.recognizers import REGISTRY
from server import keys
from server.access.rules.recognizers import VARIABLES, Chosen, RecognizerStore
from server.web.admin.recognizer_trials import RecognizerTrials
from server.web.admin.sections import Change, Form

MAX_QUESTIONS: Final = 999_999_999
"""The largest budget that the form takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecognizerRow:
    """A recognizer that is asked or could be, as the form shows it; `place` is empty where it is not asked.

    `budgets`: the texts of its fields by period; None where it costs nothing. `warning`: what to know before it is
    tested, if anything. `can_be_tested`: whether this server asks it itself.
    """

    name: str
    place: str
    state: str
    left: tuple[str, str]
    budgets: dict[str, str] | None
    warning: str
    can_be_tested: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownChoice:
    """What the page shows: the rows, sentences on what holds, and what can be given back to the settings."""

    rows: Sequence[RecognizerRow]
    places: Sequence[str]
    holds: Sequence[tuple[str, Chosen | None]]
    missing: Sequence[str]


class RecognizerDesk:
    """Shows and changes the choice, and tests recognizers."""

    def __init__(self, app: web.Application, trials: RecognizerTrials) -> None:
        self._app = app
        self._trials = trials

    async def change(self, store: RecognizerStore, form: Form) -> Change:
        """Do what a form says: save, give back to the setting, or test.

        Raises TwitchAudioError: `invalid-input`, `busy`, or why a test gave no answer.
        """
        match form.text("action"):
            case "save":
                changed = await self._save(store, form)
            case "reset":
                changed = await self._reset(store, form)
            case _:
                return await self._trials.change(form)
        self._app[keys.ACCESS].forget_rules()
        await self._app[keys.RECOGNIZERS].current()
        return changed

    async def shown(self, form: Form | None) -> ShownChoice:
        """What to show, with the fields as they were sent if they were refused."""
        choices = self._app[keys.RECOGNIZERS]
        override, choice = await choices.chosen(), await choices.current()
        names = list(dict.fromkeys((*choice.names, *self._names())))
        statuses = {status.name: status for status in await self._app[keys.PROVIDERS].statuses()}
        sent = form if form is not None and form.text("action") == "save" else None
        return ShownChoice(
            rows=[self._row(name, choice, statuses.get(name), sent) for name in names],
            places=[str(number) for number in range(1, len(names) + 1)],
            holds=_what_holds(choices.of_settings, override),
            missing=[reason for name in REGISTRY if (reason := choices.unusable_reason(name)) is not None],
        )

    def _names(self) -> list[str]:
        """The recognizers that can be chosen."""
        return [name for name in REGISTRY if self._app[keys.RECOGNIZERS].unusable_reason(name) is None]

    async def _save(self, store: RecognizerStore, form: Form) -> Change:
        choice = await self._app[keys.RECOGNIZERS].current()
        order = self._order(form)
        budgets = {name: limits for name, limits in choice.budgets.items() if name not in self._names()}
        for name in self._names():
            if not REGISTRY[name].free and (limits := _budgets(form, name)):
                budgets[name] = limits
        changed: list[str] = []
        if order != choice.names:
            await store.choose_order(order)
            changed.append(f"asked in the order {', '.join(order)}")
        if budgets != dict(choice.budgets):
            await store.choose_budgets(budgets)
            changed.append(f"budgets are {budgets_text(budgets) or 'none, so no provider has a limit'}")
        return Change(message=f"Saved: {'; '.join(changed)}." if changed else "Nothing was different.")

    async def _reset(self, store: RecognizerStore, form: Form) -> Change:
        what = form.text("what")
        if what not in tuple(Chosen):
            raise invalid_input("The form names nothing that has a setting.")
        variable = VARIABLES[Chosen(what)]
        was_chosen = await store.reset(Chosen(what))
        return Change(message=f"{variable} holds again." if was_chosen else f"{variable} holds already.")

    def _order(self, form: Form) -> tuple[str, ...]:
        """The order that a form says. Raises TwitchAudioError `invalid-input`."""
        names = self._names()
        if not any(f"place-{name}" in form.values for name in names):
            raise invalid_input("The form names no recognizer.")
        placed: dict[int, str] = {}
        for name in names:
            text = form.text(f"place-{name}")
            if not text:
                continue
            number = _number(text)
            if number is None or not 1 <= number <= len(names):
                takes = f"takes a whole number from 1 to {len(names)}, or nothing: then it is not asked"
                raise invalid_input(f"The place of {name} {takes}.")
            if number in placed:
                raise invalid_input(f"{placed[number]} and {name} have the same place, {number}.")
            placed[number] = name
        order = tuple(placed[number] for number in sorted(placed))
        self._app[keys.RECOGNIZERS].check_order(order)
        return order

    def _row(
        self, name: str, choice: RecognizerChoice, status: ProviderStatus | None, sent: Form | None
    ) -> RecognizerRow:
        settings = self._app[keys.SETTINGS].pipeline
        free = REGISTRY[name].free
        place = str(choice.names.index(name) + 1) if name in choice.names else ""
        budgets = None if free else {str(period): _most(choice.budgets, name, period) for period in Period}
        if sent is not None:
            place = sent.text(f"place-{name}")
            if budgets is not None:
                budgets = {str(period): sent.text(f"{period}-{name}") for period in Period}
        return RecognizerRow(
            name=name,
            place=place,
            state="free" if status is None else _state(status),
            left=(_left(status, Period.DAY), _left(status, Period.MONTH)),
            budgets=budgets,
            warning="" if free else _warning(name, settings.providers.prices.get(name)),
            can_be_tested=unusable_reason(settings, name) is None,
        )


def _what_holds(
    of_settings: RecognizerChoice, override: RecognizerOverride
) -> Sequence[tuple[str, Chosen | None]]:
    """A sentence on the order and one on the budgets, each with what a button gives back to the setting."""
    order, budgets = VARIABLES[Chosen.ORDER], VARIABLES[Chosen.BUDGETS]
    of_order, of_budgets = ", ".join(of_settings.names), budgets_text(of_settings.budgets) or "no limits"
    return [
        (f"The order is that of the setting {order}.", None)
        if override.order is None
        else (f"The order set on this page holds. The setting {order} has {of_order}.", Chosen.ORDER),
        (f"The budgets are those of the setting {budgets}.", None)
        if override.budgets is None
        else (f"The budgets set on this page hold. The setting {budgets} has {of_budgets}.", Chosen.BUDGETS),
    ]


def _budgets(form: Form, name: str) -> tuple[Budget, ...]:
    """The budgets of a provider that a form says. Raises TwitchAudioError `invalid-input`."""
    found: list[Budget] = []
    for period in Period:
        text = form.text(f"{period}-{name}")
        if not text:
            continue
        number = _number(text)
        if number is None:
            takes = f"take a whole number from 0 to {MAX_QUESTIONS}, or nothing: then there is no limit"
            raise invalid_input(f"Questions to {name} in a {period} {takes}.")
        found.append(Budget(period, number))
    return tuple(found)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_QUESTIONS)) else None


def _most(budgets: Budgets, name: str, period: Period) -> str:
    return next((str(budget.most) for budget in budgets.get(name, ()) if budget.period is period), "")


def _state(status: ProviderStatus) -> str:
    return str(status.state) if status.detail is None else f"{status.state}: {status.detail}"


def _warning(name: str, price: Decimal | None) -> str:
    warning = f"This asks {name} one question, which counts in its budget and may cost money"
    return f"{warning}." if price is None else f"{warning} ({price})."


def _left(status: ProviderStatus | None, period: Period) -> str:
    if status is None:
        return "no limit"
    if status.spending is None:
        return "unknown"
    for each in status.spending:
        if each.period is period:
            return f"no limit, {each.used} asked" if each.most is None else f"{each.left} of {each.most}"
    return "no limit"
