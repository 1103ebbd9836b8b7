"""The form of API keys: made to be found by scanners, and typos to be found without asking anybody."""

import string
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access.identity.api_keys import ApiKey, new_key, well_formed
from tests.builders import NOON

pytestmark = pytest.mark.timeout(18)  # nothing here waits for anything outside
BASE62 = string.digits + string.ascii_letters


def test_a_new_key_is_well_formed_and_hidden() -> None:
    key = new_key()
    assert well_formed(key.reveal())
    assert len(key.reveal()) == 39
    assert key.reveal() not in repr(key)
    assert new_key().reveal() != key.reveal()


def test_limits_in_words() -> None:
    key = ApiKey(
        id="a", shown="ta_", name="a bot", scopes=frozenset(), per_minute=None, per_day=None, at_once=None,
        created_at=NOON, expires_at=None, revoked_at=None, used_at=None,
    )  # fmt: skip
    assert key.limits_in_words() == []
    assert replace(key, per_minute=2, per_day=9, at_once=1).limits_in_words() == [
        "2 a minute",
        "9 a day",
        "1 at once",
    ]


@given(st.integers(3, 38), st.sampled_from(BASE62))
def test_one_wrong_character_is_noticed(place: int, character: str) -> None:
    key = new_key().reveal()
    changed = key[:place] + character + key[place + 1 :]
    assert well_formed(changed) == (changed == key)


@given(st.text(max_size=50))
def test_any_other_text_is_no_key(text: str) -> None:
    assert well_formed(text) is False
    assert well_formed("ta_" + text[:36]) is False
