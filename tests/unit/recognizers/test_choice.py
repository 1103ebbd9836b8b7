"""Which recognizers are asked: as the settings say, or as an operator chose while the server runs."""

from functools import partial
from typing import Any

import pytest

from fingerprint.domain.budgets import Budget, Period, budgets_text, parse_budgets
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.recognizer_choice import (
    RecognizerChoice,
    available_names,
    budgeted_by,
    check_budgets,
    check_order,
    chosen_by,
    chosen_instead,
    unusable_reason,
)
from fingerprint.recognizers.chain import RecognizerChain
from fingerprint.settings import read_settings
from fingerprint.wiring import choice_of
from tests.unit.recognizers.test_chain import Scripted, ignore, recording

pytestmark = pytest.mark.unit

AUDD = {"AUDD_API_TOKEN": "token", "TWITCHAUDIO_BUDGETS": "audd=10/day"}


def settings(**environ: str) -> PipelineSettings:
    return read_settings(PipelineSettings, environ)


def instead(of: PipelineSettings, **chosen: Any) -> RecognizerChoice:
    return chosen_instead(choice_of(of), RecognizerOverride(**chosen), partial(unusable_reason, of))


def test_what_was_chosen_holds_in_place_of_the_setting_and_only_that() -> None:
    assert instead(settings(**AUDD)) == choice_of(settings(**AUDD))
    budgets = {"audd": (Budget(Period.DAY, 10),)}
    assert instead(settings(**AUDD), order=("audd", "catalog")) == RecognizerChoice(
        names=("audd", "catalog"), budgets=budgets
    )
    assert instead(settings(**AUDD), budgets={}) == RecognizerChoice(names=("catalog", "audd"), budgets={})


def test_what_cannot_be_asked_here_is_left_out() -> None:
    assert instead(settings(), order=("audd", "shazam")).names == ("shazam",)
    assert instead(settings(), order=("audd", "gone")).names == ("catalog",), "the setting holds"


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((), "at least one"),
        (("catalog", "catalog"), "catalog is named twice"),
        (("acrcloud",), "acrcloud cannot be asked: its keys are not set"),
        (("learned",), "TWITCHAUDIO_LEARN=on"),
        (("Catalog",), "There is no recognizer 'Catalog'"),
    ],
)
def test_an_order_that_cannot_hold_is_refused_with_the_reason(names: tuple[str, ...], why: str) -> None:
    check_order(("audd", "catalog"), partial(unusable_reason, settings(**AUDD)))
    with pytest.raises(TwitchAudioError, match=why) as raised:
        check_order(names, partial(unusable_reason, settings(**AUDD)))
    assert raised.value.code == "invalid-input"


def test_only_what_costs_something_has_a_budget() -> None:
    check_budgets(parse_budgets("acrcloud=1/day, audd=0/month"))
    with pytest.raises(TwitchAudioError, match=r"catalog has no budget: .* acrcloud, audd, shazam"):
        check_budgets(parse_budgets("catalog=1/day"))


@pytest.mark.parametrize("text", ["", "audd=10/day", "acrcloud=100/day, acrcloud=2000/month, audd=0/day"])
def test_budgets_are_read_back_as_they_were_written(text: str) -> None:
    assert budgets_text(parse_budgets(text)) == text


def test_what_has_its_keys_can_be_chosen() -> None:
    assert available_names(settings()) == ("catalog", "shazam")
    assert available_names(settings(**AUDD, TWITCHAUDIO_LEARN="on")) == ("catalog", "learned", "audd", "shazam")


async def test_a_chain_asks_what_is_chosen_now_in_the_order_of_now() -> None:
    now = RecognizerChoice(names=("catalog",), budgets={})

    async def current() -> RecognizerChoice:
        return now

    catalog, audd = Scripted("catalog", title="Mine"), Scripted("audd", title="Theirs")
    async with (
        RecognizerChain([catalog, audd], choose=chosen_by(current)) as chain,
        RecognizerChain([catalog, audd], choose=chosen_by(current), together=True) as together,
        RecognizerChain([catalog, audd], choose=budgeted_by(current)) as budgeted,
    ):
        assert (await chain.identify(recording(), ignore)).recognizer == "catalog"
        assert (await together.identify(recording(), ignore)).recognizer == "catalog"
        assert audd.asked == 0
        now = RecognizerChoice(names=("audd", "gone", "catalog"), budgets={})
        assert (await chain.identify(recording(), ignore)).recognizer == "audd"
        assert await budgeted.unavailable_reason() is not None
        now = RecognizerChoice(names=("catalog", "audd"), budgets=parse_budgets("audd=5/day"))
        assert (await budgeted.identify(recording(), ignore)).recognizer == "audd"
        now = RecognizerChoice(names=("catalog",), budgets=parse_budgets("audd=5/day"))
        assert await budgeted.unavailable_reason() is not None, "it has a budget, and is not asked"
