"""The order in which text is drawn. Letters from the right are escapes, so that editors keep them in order."""

import pytest

from fingerprint.media.visual_order import is_right_to_left, visual_order

pytestmark = pytest.mark.unit

SHALOM = "\u05e9\u05dc\u05d5\u05dd"
DRAWN = SHALOM[::-1]


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("", ""),
        ("Night Drive (Live) 3.5", "Night Drive (Live) 3.5"),
        (SHALOM, DRAWN),
        (f"{SHALOM} 12:30", f"12:30 {DRAWN}"),
        (f"{SHALOM} (live)", f"(live) {DRAWN}"),
        (f"Hello {SHALOM} (2021)", f"Hello (2021) {DRAWN}"),
        (f"{SHALOM}, world!", f"!world ,{DRAWN}"),
        (f"Night ({SHALOM})", f"Night ({DRAWN})"),
        (f"({SHALOM})", f"({DRAWN})"),
        (f"{SHALOM} [({SHALOM}) x] <a>", f"<a> [x ({DRAWN})] {DRAWN}"),
        # Seen, Lam with Alef, Meem: the last joins nothing before it.
        ("\u0633\u0644\u0627\u0645", "\ufee1\ufefc\ufeb3"),
        # Alef, Lam, Lam, Heh: as letters, since the font lacks the one sign for all of them.
        ("\u0627\u0644\u0644\u0647", "\ufeea\ufee0\ufedf\ufe8d"),
        # Vowel points are left out.
        ("\u0628\u064e\u0628", "\ufe90\ufe91"),
        (SHALOM + "\u05b0", DRAWN),
    ],
)
def test_text_is_drawn_in_its_order(text: str, drawn: str) -> None:
    assert visual_order(text) == drawn


def test_the_first_letter_says_from_where_a_line_is_read() -> None:
    assert [is_right_to_left(text) for text in ("a", SHALOM, f"1 {SHALOM} a", "1!", "")] == [0, 1, 1, 0, 0]
