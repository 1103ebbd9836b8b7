"""The words on the cards that chats show beside a link."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fingerprint.domain.artwork import drawing_of
from fingerprint.media.card_text import text_layer
from fingerprint.media.cards import card_of_drawing

pytestmark = pytest.mark.unit

WIDTH, HEIGHT = 500, 510
ARABIC = "\u0646\u0633\u0645 \u0639\u0644\u064a\u0646\u0627"
JAPANESE = "\u591c\u306b\u99c6\u3051\u308b"


def drawn(*texts: str) -> NDArray[np.uint8]:
    layer = text_layer(texts, WIDTH, HEIGHT)
    assert layer is not None
    assert layer.shape == (HEIGHT, WIDTH, 4)
    return layer


def columns(text: str) -> NDArray[np.uint8]:
    """The most ink in each column of a title."""
    return drawn(text)[..., 3].max(axis=0)


def test_words_are_drawn_from_their_own_side_and_never_beyond() -> None:
    latin, arabic = columns("Night"), columns(ARABIC)
    assert (latin[:60].any(), latin[-200:].any()) == (True, False)
    assert (arabic[-60:].any(), arabic[:200].any()) == (True, False)
    long = drawn("Night Drive " * 90, "Somebody" * 60, "w" * 1_000)
    assert not np.concatenate([long[:5, :, 3], long[-5:, :, 3]]).any(), "it fits"


@pytest.mark.parametrize("text", [JAPANESE, f"{JAPANESE} a", "", "\u200f\u202e \ue000", "\U0001f319"])
def test_what_the_font_lacks_is_left_out(text: str) -> None:
    assert text_layer([text], WIDTH, HEIGHT) is None


def test_a_sign_that_the_font_lacks_leaves_the_rest() -> None:
    night = drawn("Night")
    for text in ("Night \u591c", "\U0001fae8 Ni\u200bght\u202e", "Night\ue000"):
        assert np.array_equal(drawn(text), night), text


def test_a_card_has_its_words_and_is_the_same_each_time() -> None:
    drawing = drawing_of("t-1")
    with_words = card_of_drawing(drawing, ["Night Drive", "The Lanterns", "Heard on somechannel"])
    assert with_words == card_of_drawing(drawing, ["Night Drive", "The Lanterns", "Heard on somechannel"])
    assert with_words != card_of_drawing(drawing, [])
    assert card_of_drawing(drawing, [JAPANESE]) == card_of_drawing(drawing, [])
