"""`twitchaudio admin recognizers`: in which order they are asked, and how often the paid ones may be."""

import argparse
from functools import partial

from fingerprint.database import Database
from fingerprint.domain.budgets import Budgets, Period, budgets_text, parse_budgets
from fingerprint.domain.problems import invalid_input
from fingerprint.recognizer_choice import (
    available_names,
    check_budgets,
    check_order,
    chosen_instead,
    unusable_reason,
)
from fingerprint.recognizers import REGISTRY
from fingerprint.settings import read_settings
from fingerprint.wiring import choice_of
from server.access.rules.recognizers import VARIABLES, Chosen, RecognizerStore
from server.access.rules.store import RulesStore
from server.cli import checked_arguments
from server.cli.listing import print_list
from server.cli.with_database import operator_changes, with_database
from server.settings import ServerSettings

NONE = "none"
"""The word for no budgets."""


def list_recognizers(arguments: argparse.Namespace) -> None:
    """Print the recognizers in their order, then those that could be asked."""
    settings = read_settings(ServerSettings).pipeline
    override = with_database(lambda database: RulesStore(database).read()).recognizers
    choice = chosen_instead(choice_of(settings), override, partial(unusable_reason, settings))
    print_list(
        [
            {
                "place": choice.names.index(name) + 1 if name in choice.names else None,
                "recognizer": name,
                "per_day": _most(choice.budgets, name, Period.DAY),
                "per_month": _most(choice.budgets, name, Period.MONTH),
                "order_by": VARIABLES[Chosen.ORDER] if override.order is None else "admin",
                "budgets_by": VARIABLES[Chosen.BUDGETS] if override.budgets is None else "admin",
            }
            for name in dict.fromkeys((*choice.names, *available_names(settings)))
        ],
        as_json=arguments.json,
    )


def choose_order(arguments: argparse.Namespace) -> None:
    """Ask some recognizers in an order."""
    settings = read_settings(ServerSettings)
    names = [name.strip() for text in arguments.names for name in text.split(",") if name.strip()]
    with checked_arguments():
        check_order(names, _known if settings.runner == "lambda" else partial(unusable_reason, settings.pipeline))
    with_database(lambda database: _store(database).choose_order(names))
    print(f"The recognizers are asked in the order {', '.join(names)}.")


def choose_budgets(arguments: argparse.Namespace) -> None:
    """Set the budgets of the recognizers that cost something."""
    with checked_arguments():
        budgets = _budgets(", ".join(arguments.budgets))
        check_budgets(budgets)
    with_database(lambda database: _store(database).choose_budgets(budgets))
    print(f"The budgets are {budgets_text(budgets) or 'none: no provider has a limit'}.")


def _budgets(text: str) -> Budgets:
    try:
        return parse_budgets("" if text == NONE else text)
    except ValueError as error:
        takes = f"Budgets are such as audd=10/day acrcloud=2000/month, or {NONE}"
        raise invalid_input(f"{takes}; {str(error)[:50]!r} is not one.") from error


def reset(arguments: argparse.Namespace) -> None:
    """Use the settings again."""

    async def work(database: Database) -> None:
        for what in [Chosen(arguments.what)] if arguments.what else Chosen:
            was_chosen = await _store(database).reset(what)
            print(f"{VARIABLES[what]} holds {'again' if was_chosen else 'already'}.")

    with_database(work)


def _store(database: Database) -> RecognizerStore:
    return RecognizerStore(database, changes=operator_changes())


def _known(name: str) -> str | None:
    """A Lambda function may have keys that are not set here, but it has no other recognizers."""
    return None if name in REGISTRY else f"There is no recognizer {name[:50]!r}: there are {', '.join(REGISTRY)}."


def _most(budgets: Budgets, name: str, period: Period) -> int | None:
    return next((budget.most for budget in budgets.get(name, ()) if budget.period is period), None)
