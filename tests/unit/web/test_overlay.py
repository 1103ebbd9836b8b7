"""The overlay's options."""

from dataclasses import fields
from datetime import timedelta

import pytest

from fingerprint.domain.problems import TwitchAudioError
from server.web.headers import CONTENT_SECURITY_POLICY, FRAMED_ANYWHERE
from server.web.overlay import Options, is_shown, option_fields, options
from tests.builders import NOON


def test_options_stand_in_the_address() -> None:
    chosen = options(
        {"size": "150", "position": "top-right", "text": "#ABC", "background": "none", "hide": "0", "label": ""}
    )
    assert (chosen.size, chosen.position, chosen.text, chosen.background) == (150, "top-right", "#abc", "none")
    assert (chosen.hide, chosen.label, chosen.accent) == (0, "", Options().accent)
    assert options({}) == Options()
    assert options({"label": "x" * 500}).label == "x" * 40


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("size", "49"),
        ("size", "1e3"),
        ("position", "somewhere"),
        ("text", "red"),
        ("accent", "12345"),
        ("background", "url(x)"),
        ("hide", "-1"),
        ("colour", "ffffff"),
    ],
)
def test_a_wrong_option_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        options({name: text})
    assert name in caught.value.detail


def test_a_song_is_hidden_when_it_was_not_heard_for_a_while() -> None:
    assert is_shown(NOON, NOON + timedelta(seconds=60), 60)
    assert not is_shown(NOON, NOON + timedelta(seconds=61), 60)
    assert is_shown(NOON, NOON + timedelta(days=9), 0)


def test_every_option_is_in_the_docs_and_the_overlay_may_be_framed() -> None:
    assert [field.name for field in option_fields()] == [field.name for field in fields(Options)]
    assert "frame-ancestors *" in FRAMED_ANYWHERE
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY
