"""The overlay's options."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest
from yarl import URL

from fingerprint.domain.problems import TwitchAudioError
from server.identifications.set_list import Play
from server.web.examples import reachable_by_bots
from server.web.headers import CONTENT_SECURITY_POLICY, FRAMED_ANYWHERE
from server.web.overlay import card_of, changed, is_shown
from server.web.overlay_options import THEMES, Options, option_fields, options
from tests.builders import NOON, song


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
        ("theme", "Dark"),
        ("cover", "yes"),
        ("progress", "2"),
        ("test", "on"),
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


def test_a_theme_gives_the_colors_that_are_left_out() -> None:
    assert options({"theme": "light"}).text == THEMES["light"]["text"]
    assert options({"theme": "light", "text": "f00"}).text == "#f00"


@pytest.mark.parametrize("name", list(THEMES))
def test_the_address_names_what_differs_and_means_the_same(name: str) -> None:
    chosen = options({"theme": name, "size": "150", "accent": "#123456", "cover": "0", "label": ""})
    query = changed(chosen)
    assert options(query) == chosen
    assert query.keys() == {"size", "accent", "cover", "label"} | ({"theme"} if name != "dark" else set())
    assert changed(Options()) == {}


def test_the_card_goes_on_with_the_stream() -> None:
    played = song(offset_seconds=50.0, duration_seconds=200.0)
    play = Play(song=played, first_heard=NOON, last_heard=NOON, asked_at=NOON, answers=("x",))
    card = card_of(play)
    assert [card.played(NOON + timedelta(seconds=after)) for after in (-5, 0, 50, 999)] == [
        25.0,
        25.0,
        50.0,
        100.0,
    ]
    assert card_of(replace(play, song=song())).played(NOON) is None


@pytest.mark.parametrize(
    ("address", "reachable"),
    [
        ("https://songs.example", True),
        ("http://8.8.8.8:8080", True),
        ("http://[2606:4700::1111]", True),
        ("http://127.0.0.1:8080", False),
        ("http://localhost:8080", False),
        ("http://[::1]:8080", False),
        ("http://192.168.1.20", False),
        ("http://10.0.0.5", False),
        ("http://100.64.0.9", False),
        ("http://[fd00::1]", False),
        ("http://0.0.0.0", False),
        ("http://nas", False),
        ("http://nas.local", False),
        ("http://songs.home.arpa.", False),
    ],
)
def test_bots_reach_public_addresses_only(address: str, *, reachable: bool) -> None:
    assert reachable_by_bots(URL(address)) is reachable
