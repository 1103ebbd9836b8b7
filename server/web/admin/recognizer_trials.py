"""The button of `/admin/recognizers`: asks one recognizer about a sound that this server makes."""

import asyncio
from typing import Final

from aiohttp import web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.recognizer_choice import available_names
from fingerprint.recognizers import REGISTRY, chosen_names
from server import keys
from server.recognizer_trial import try_recognizer
from server.web.admin.sections import Change, Form

WAIT_SECONDS: Final = 20.0
"""How long the page waits for the answer."""


class RecognizerTrials:
    """Asks recognizers for an operator, one at a time."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._asking = asyncio.Lock()

    async def change(self, form: Form) -> Change:
        """Ask the recognizer that a form names. Raises TwitchAudioError: why it gave no answer."""
        name = form.text("recognizer")
        settings = self._app[keys.SETTINGS].pipeline
        if name not in (*chosen_names(settings), *available_names(settings)):
            raise invalid_input("The form names no recognizer that this server asks.")
        if not REGISTRY[name].free and form.text("paid") != "yes":
            raise invalid_input(f"A question to {name} may cost money: confirm it first. Nothing was asked.")
        if self._asking.locked():
            raise TwitchAudioError(
                ProblemCode.BUSY, "Another test is still running.", retry_after_seconds=WAIT_SECONDS
            )
        async with self._asking:
            guards = self._app[keys.PROVIDERS]
            answer = await try_recognizer(settings, name, guards=guards, wait_seconds=WAIT_SECONDS)
        price = settings.providers.prices.get(name)
        cost = f"One question, worth {price}." if price is not None else "One question of its budget."
        return Change(message=f"{answer}. {'It costs nothing.' if REGISTRY[name].free else cost}")
