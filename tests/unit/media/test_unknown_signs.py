import logging
from collections import Counter

import pytest

from fingerprint.media.unknown_signs import LOG_EVERY_SECONDS, MAX_VALUES, OTHER, UnknownSigns, label_of
from tests.fakes import FakeClock

pytestmark = pytest.mark.unit


def counting(clock: FakeClock) -> tuple[UnknownSigns, Counter[tuple[str, str]]]:
    counted: Counter[tuple[str, str]] = Counter()
    return UnknownSigns(lambda kind, value: counted.update([(kind, value)]), clock), counted


async def test_each_value_is_counted_always_and_logged_once_an_hour(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    signs, counted = counting(clock)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            signs.note("title", "gone")
        assert len(caplog.records) == 1
        await clock.advance(LOG_EVERY_SECONDS + 1)
        signs.note("title", "gone")
    assert len(caplog.records) == 2
    assert vars(caplog.records[0])["kind"] == "title"
    assert counted == {("title", "gone"): 4}


def test_hostile_values_make_few_harmless_labels() -> None:
    signs, counted = counting(FakeClock())
    for number in range(10_000):
        signs.note("title", f"{'x' * (number % 100)}\n{number}")
        signs.note("date-range-class", f"evil{{}}\"'\u202e\x00{number}")
    assert len({value for kind, value in counted if kind == "title"}) <= MAX_VALUES + 1
    assert counted["title", OTHER]
    for _, value in counted:
        assert value.isascii()
        assert value.isprintable()
        assert len(value) <= 50
        assert not set(value) & set("{}\"'\\ ")


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("twitch-new-ad", "twitch-new-ad"),
        ("", "(empty)"),
        ("creative 123456|x", "creative_000_x"),
        ("\u00e4\u00f6", "_"),
        ("y" * 400, "y" * 48),
    ],
)
def test_labels(value: str, label: str) -> None:
    assert label_of(value) == label


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("a3f.fra02.newcdn.example", "newcdn.example"),
        ("newcdn.example.", "newcdn.example"),
        ("10.0.0.1", "(address)"),
        ("::1", "(address)"),
        ("localhost", "localhost"),
        ("", "(none)"),
    ],
)
def test_hosts_are_counted_by_their_domain(host: str, label: str) -> None:
    signs, counted = counting(FakeClock())
    signs.note_host(host)
    assert counted == {("host", label): 1}
