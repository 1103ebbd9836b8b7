"""The queue of what webhooks are to be told, while an event of it is being stored."""

import contextlib
from collections import deque

import pytest

from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from server.webhooks.service import first_of


def test_a_queue_that_overflows_during_the_block_loses_only_its_oldest() -> None:
    queue = deque([1, 2, 3], maxlen=3)
    with first_of(queue) as event:
        assert event == 1
        queue.append(4)
    assert list(queue) == [2, 3, 4]
    with first_of(queue) as event:
        assert event == 2
        queue.extend([5, 6])
    assert list(queue) == [4, 5, 6]


def test_an_event_whose_block_fails_comes_next_again_if_there_is_room() -> None:
    queue = deque([1, 2], maxlen=2)

    fail_with(queue)
    assert list(queue) == [1, 2]
    fail_with(queue, 3)
    assert list(queue) == [2, 3]


def test_an_event_that_can_never_be_stored_does_not_hold_back_the_others() -> None:
    queue = deque([1, 2])
    with pytest.raises(ZeroDivisionError), first_of(queue):
        raise ZeroDivisionError
    assert list(queue) == [2]


def fail_with(queue: deque[int], *more: int) -> None:
    with contextlib.suppress(TwitchAudioError), first_of(queue):
        queue.extend(more)
        raise TwitchAudioError(ProblemCode.BUSY, "The database is away.")
