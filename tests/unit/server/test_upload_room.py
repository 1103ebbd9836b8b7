"""How many uploads may arrive at once, and from whom."""

from contextlib import ExitStack

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.api.uploads import UploadRoom


def taken_by(room: UploadRoom, stack: ExitStack, caller: str) -> int:
    """Take all the places that a caller gets; returns how many."""
    for number in range(UploadRoom.MAX + 1):
        refusal = take(room, stack, caller)
        if refusal is not None:
            assert refusal is (ProblemCode.RATE_LIMITED if number else ProblemCode.BUSY)
            return number
    raise AssertionError("there is no bound")


def take(room: UploadRoom, stack: ExitStack, caller: str) -> ProblemCode | None:
    try:
        stack.enter_context(room.place(caller))
    except TwitchAudioError as error:
        return error.code
    return None


def test_a_caller_who_takes_all_they_can_leaves_room_for_others() -> None:
    room = UploadRoom()
    with ExitStack() as stack:
        assert [taken_by(room, stack, f"caller {number}") for number in range(11)] == [
            4,
            3,
            2,
            1,
            1,
            1,
            1,
            1,
            1,
            1,
            0,
        ]
    with ExitStack() as stack:
        assert taken_by(room, stack, "another") == 4, "all places are given back"


def test_who_has_an_account_is_not_kept_waiting_by_others_at_their_address() -> None:
    room = UploadRoom()
    with ExitStack() as stack:
        taken_by(room, stack, "198.51.100.7")
        with pytest.raises(TwitchAudioError, match="Wait for one"), room.place("198.51.100.7"):
            pass
        with room.place("user:12"):
            pass
