"""What comes after each try of a watch."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fingerprint.domain.identification import Status
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError
from server.channels.watch import Watch, WatchState, after
from server.channels.watch_terms import BUDGET_MOST, EVERY_LEAST, EVERY_MOST, watch_terms
from tests.builders import NOON, answered, identification

WATCH = Watch(
    channel="somechannel",
    every_seconds=60,
    budget=10,
    used=1,
    state=WatchState.RUNNING,
    reason=None,
    made_by="operator",
    created_at=NOON,
    next_at=NOON,
    last_at=NOON + timedelta(seconds=1),
    fence=1,
)
NO_MATCH = identification(status=Status.NO_MATCH, finished_at=NOON)


def problem(code: ProblemCode, retry: float | None = None) -> Problem:
    return Problem(code=code, detail="x", retry_after_seconds=retry)


def test_a_song_is_followed_by_the_next_try_on_time() -> None:
    step = after(replace(WATCH, quiet=5, offline=1), answered())
    assert (step.wait_seconds, step.quiet, step.offline, step.reason) == (60, 0, 0, None)


def test_the_wait_grows_while_nothing_is_found_and_no_further_than_four_times() -> None:
    waits: list[float] = []
    watch = replace(WATCH, budget=100)
    for _ in range(9):
        step = after(watch, NO_MATCH)
        waits.append(step.wait_seconds)
        watch = replace(watch, quiet=step.quiet)
    assert waits == [60, 120, 150, 180, 210, 240, 240, 240, 240]


def test_a_stream_that_is_not_live_twice_has_ended_and_once_has_not() -> None:
    once = after(WATCH, problem(ProblemCode.NOT_LIVE))
    assert (once.reason, once.offline, once.counted) == (None, 1, False)
    assert once.wait_seconds <= 30
    assert after(replace(WATCH, offline=1), problem(ProblemCode.NOT_LIVE)).reason == "stream-ended"
    assert after(replace(WATCH, offline=1), answered()).offline == 0


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (ProblemCode.CHANNEL_NOT_FOUND, "channel-not-found"),
        (ProblemCode.RESTRICTED_STREAM, "restricted-stream"),
        (ProblemCode.KEY_INVALID, "key-invalid"),
    ],
)
def test_what_cannot_get_better_ends_it(code: ProblemCode, reason: str) -> None:
    assert after(WATCH, problem(code)).reason == reason


@pytest.mark.parametrize("code", [ProblemCode.MAINTENANCE, ProblemCode.RATE_LIMITED, ProblemCode.BLACKLISTED])
def test_what_is_switched_off_is_waited_for_and_costs_nothing(code: ProblemCode) -> None:
    step = after(replace(WATCH, every_seconds=15, used=10), problem(code, 300))
    assert (step.reason, step.wait_seconds, step.counted) == (None, 300, False)
    assert after(replace(WATCH, every_seconds=15), problem(code)).wait_seconds >= 60


def test_trouble_is_tried_again_on_time_or_when_it_is_said_to_be_over() -> None:
    assert after(WATCH, problem(ProblemCode.AD_BREAK, 90)).wait_seconds == 90
    assert after(WATCH, problem(ProblemCode.TIMEOUT)).wait_seconds == 60


@pytest.mark.parametrize("outcome", [answered(), NO_MATCH, problem(ProblemCode.TIMEOUT)])
def test_the_budget_ends_it(outcome: object) -> None:
    assert after(replace(WATCH, used=10), outcome).reason == "budget-used"  # type: ignore[arg-type]
    assert after(replace(WATCH, used=9), outcome).reason is None  # type: ignore[arg-type]


@pytest.mark.parametrize("every", [EVERY_LEAST - 1, EVERY_MOST + 1, True, 15.5, "60", None])
def test_terms_have_bounds(every: object) -> None:
    assert watch_terms(EVERY_LEAST, BUDGET_MOST) == (EVERY_LEAST, BUDGET_MOST)
    with pytest.raises(TwitchAudioError):
        watch_terms(every, 1)
    with pytest.raises(TwitchAudioError):
        watch_terms(60, BUDGET_MOST + 1 if isinstance(every, int) else every)


OWNERS = replace(WATCH, made_by="owner:42", last_at=NOON)


def test_the_watch_of_an_owner_waits_for_the_next_stream_and_ends_after_two_weeks_without_one() -> None:
    assert (WATCH.owner_id, OWNERS.owner_id) == (None, "42")
    waits: list[float] = []
    watch = OWNERS
    while True:
        step = after(watch, problem(ProblemCode.NOT_LIVE))
        if step.reason is not None:
            break
        assert not step.counted
        waits.append(step.wait_seconds)
        watch = replace(watch, offline=step.offline)
    assert (step.reason, waits[:3]) == ("stream-ended", [20, 300, 300])
    assert 14 * 86_400 - 600 < sum(waits) < 14 * 86_400 + 600
    assert after(replace(watch, offline=9), answered()).offline == 0


def test_the_watch_of_an_owner_goes_on_at_midnight_when_the_days_budget_is_used() -> None:
    used = replace(OWNERS, used=10)
    until_midnight = 86_400 - NOON.timestamp() % 86_400
    for outcome in (answered(), NO_MATCH, problem(ProblemCode.TIMEOUT)):
        step = after(used, outcome)
        assert (step.reason, step.wait_seconds) == (None, until_midnight)
    assert after(replace(OWNERS, used=9), answered()).wait_seconds == 60
    # A provider that is asked too often is asked again soon.
    assert after(OWNERS, problem(ProblemCode.RATE_LIMITED, 90)).wait_seconds == 90


def test_what_the_operator_no_longer_allows_ends_it() -> None:
    assert after(OWNERS, problem(ProblemCode.FORBIDDEN)).reason == "forbidden"
