"""What a store accepts of other people's texts."""

import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st

from fingerprint.domain.text import TEXT_LIMIT, clean_text
from fingerprint.jobs.clean import LIST_LIMIT, clean
from fingerprint.wire import from_json, to_json
from tests.builders import answered, song

_ANYTHING = st.text(st.characters(exclude_categories=[])) | st.text("\x00\ud800\u202e\nab ")


@given(_ANYTHING)
def test_cleaned_text_is_short_storable_and_stays_as_it_is(text: str) -> None:
    cleaned = clean_text(text)
    assert len(cleaned) <= TEXT_LIMIT
    cleaned.encode()
    assert not set(cleaned) & set("\x00\n\r\x1b\u202e\u2066")
    assert clean_text(cleaned) == cleaned


@given(_ANYTHING, st.lists(_ANYTHING), st.none() | st.floats(), st.none() | _ANYTHING)
def test_a_cleaned_answer_survives_json_and_another_cleaning(
    title: str, artists: list[str], number: float | None, album: str | None
) -> None:
    odd = dataclasses.replace(song(title), artists=tuple(artists), duration_seconds=number, album=album)
    cleaned = clean(answered(song=odd, songs=(odd, odd), score=number))
    assert clean(cleaned) == cleaned
    assert cleaned.song is not None
    assert cleaned.song.title
    assert "" not in cleaned.song.artists
    assert len(set(cleaned.song.artists)) == len(cleaned.song.artists) <= LIST_LIMIT
    assert from_json(json.loads(json.dumps(to_json(cleaned), allow_nan=False))) == cleaned


def test_ordinary_text_of_any_script_is_left_alone() -> None:
    for text in ["Für Elise", "夜に駆ける", "אור", "👩‍🎤 🎵", "AC/DC – T.N.T. <live>"]:  # noqa: RUF001 - a real dash
        assert clean_text(text) == text
