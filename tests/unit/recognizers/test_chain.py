import asyncio
import logging
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from fingerprint.catalog.heard_landmarks import landmarks_of_sound
from fingerprint.domain.audio import Pcm, Recording
from fingerprint.domain.identification import Song, Stage
from fingerprint.domain.landmark_points import points_of_text
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Match, Recognition
from fingerprint.providers.agreement import same_song
from fingerprint.providers.errors import FailureKind, ProviderError
from fingerprint.providers.guard import ProviderGuard
from fingerprint.recognizers.chain import PREPARE_THREADS, Member, RecognizerChain
from tests.builders import recording, song
from tests.fakes import FakeClock
from tests.unit.catalog.music import tune
from tests.waiting import settled, skip_time, until

LIMIT_SECONDS = 100.0
"""One that stalls is over its limit at once; the others never are, however busy the machine is."""


class Scripted:
    """A recognizer that does as it is told."""

    def __init__(
        self,
        name: str,
        *,
        title: str | None = None,
        error: Exception | None = None,
        missing: str | None = None,
        stalls: bool = False,
        prepare_error: Exception | None = None,
    ) -> None:
        self.name = name
        self.asked = 0
        self._title = title
        self._error = error
        self._missing = missing
        self._stalls = stalls
        self._prepare_error = prepare_error

    async def unavailable_reason(self) -> str | None:
        return self._missing

    def prepare(self, recording: Recording) -> float:
        if self._prepare_error is not None:
            raise self._prepare_error
        return recording.pcm.duration_seconds

    async def recognize(self, query: float) -> Sequence[Match]:
        self.asked += 1
        assert query > 0
        if self._stalls:
            skip_time(LIMIT_SECONDS + 10.0)
            await asyncio.Event().wait()
        if self._error is not None:
            raise self._error
        return [Match(song=song(self._title), score=0.9)] if self._title else []


def ignore(_stage: Stage) -> None:
    pass


async def test_the_first_that_knows_the_song_answers() -> None:
    one, two, three = Scripted("one"), Scripted("two", title="Found"), Scripted("three", title="Unasked")
    stages: list[Stage] = []
    async with RecognizerChain([one, two, three]) as chain:
        answer = await chain.identify(recording(), stages.append)
    assert [match.song.title for match in answer.matches] == ["Found"]
    assert answer.recognizer == "two"
    assert answer.fingerprint_ms >= 0
    assert answer.recognize_ms >= 0
    assert three.asked == 0
    assert stages == [Stage.FINGERPRINTING, Stage.RECOGNIZING] * 2


async def test_no_match_is_an_answer() -> None:
    async with RecognizerChain([Scripted("one"), Scripted("two")]) as chain:
        answer = await chain.identify(recording(), ignore)
    assert answer.matches == ()
    assert answer.recognizer == "one"


FAULTS = {
    "fails": {"error": TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, "It is away.", retry_after_seconds=7)},
    "crashes": {"error": ZeroDivisionError("oops")},
    "stalls": {"stalls": True},
    "cannot prepare": {"prepare_error": ValueError("oops")},
    "has no keys": {"missing": "There are no keys."},
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_one_that_fails_keeps_nobody_from_answering(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    bad = Scripted("bad", **FAULTS[fault])  # pyright: ignore[reportArgumentType] - the table fits the arguments
    good = Scripted("good", title="Found")
    with caplog.at_level(logging.WARNING):
        async with RecognizerChain([bad, good], recognizer_seconds=LIMIT_SECONDS) as chain:
            answer = await chain.identify(recording(), ignore)
    assert answer.recognizer == "good"
    if fault != "has no keys":
        assert {getattr(record, "recognizer", None) for record in caplog.records} == {"bad"}


@pytest.mark.parametrize("fault", FAULTS)
async def test_when_all_fail_the_error_says_who_or_what_to_do(fault: str) -> None:
    bad = Scripted("bad", **FAULTS[fault])  # pyright: ignore[reportArgumentType] - the table fits the arguments
    async with RecognizerChain([bad], recognizer_seconds=LIMIT_SECONDS) as chain:
        with pytest.raises(TwitchAudioError) as raised:
            await chain.identify(recording(), ignore)
    assert raised.value.code is ProblemCode.RECOGNIZER_UNAVAILABLE
    expected = {
        "fails": "It is away.",
        "crashes": "The recognizer bad failed",
        "stalls": "The recognizer bad did not answer within",
        "cannot prepare": "The recognizer bad failed",
        "has no keys": "There are no keys.",
    }
    assert expected[fault] in raised.value.detail
    assert "oops" not in raised.value.detail


async def test_a_no_match_counts_although_another_failed() -> None:
    bad = Scripted("bad", error=TwitchAudioError(ProblemCode.TIMEOUT, "Too slow."))
    async with RecognizerChain([bad, Scripted("good")]) as chain:
        answer = await chain.identify(recording(), ignore)
    assert (answer.matches, answer.recognizer) == ((), "good")


async def test_silence_is_said_to_be_silence() -> None:
    silent = [Scripted(name, error=TwitchAudioError(ProblemCode.NO_AUDIO, "Silence.")) for name in ("one", "two")]
    async with RecognizerChain(silent) as chain:
        with pytest.raises(TwitchAudioError) as raised:
            await chain.identify(recording(), ignore)
    assert raised.value.code is ProblemCode.NO_AUDIO


@pytest.mark.parametrize("recognizers", [[], [Scripted("one", missing="The catalog holds no music yet.")]])
async def test_with_nothing_to_recognize_with_both_ways_out_are_named(recognizers: list[Scripted]) -> None:
    async with RecognizerChain(recognizers) as chain:
        text = await chain.unavailable_reason()
        with pytest.raises(TwitchAudioError) as raised:
            await chain.identify(recording(), ignore)
    assert text is not None
    assert text == raised.value.detail
    for part in (
        "Nothing can recognize",
        "twitchaudio catalog add PATH",
        "ACRCLOUD_HOST",
        "ACRCLOUD_ACCESS_KEY",
        "ACRCLOUD_ACCESS_SECRET",
        "AUDD_API_TOKEN",
    ):
        assert part in text


async def test_one_that_can_answer_is_enough() -> None:
    async with RecognizerChain([Scripted("one", missing="No keys."), Scripted("two")]) as chain:
        assert await chain.unavailable_reason() is None


# --- Time limits --------------------------------------------------------------------------------------


class Gated(Scripted):
    """Prepares each recording only when another thread says so."""

    def __init__(self, name: str) -> None:
        super().__init__(name, title="Found")
        self.begun = threading.Semaphore(0)
        self.gate = threading.Semaphore(0)

    def prepare(self, recording: Recording) -> float:
        self.begun.release()
        assert self.gate.acquire(timeout=60)
        return recording.pcm.duration_seconds


async def test_waiting_for_a_thread_does_not_count_against_the_time_limit() -> None:
    slow, moment = Gated("slow"), Recording(pcm=recording().pcm.cut(0, 0.1))
    async with RecognizerChain([slow], recognizer_seconds=0.05) as chain:
        busy = [asyncio.create_task(chain.identify(moment, ignore)) for _ in range(PREPARE_THREADS)]
        for _ in busy:
            await asyncio.to_thread(slow.begun.acquire)
        waiting = asyncio.create_task(chain.identify(moment, ignore))
        for each in busy:
            with pytest.raises(TwitchAudioError, match="did not answer within"):
                await each
        # The threads are still at work, so the last question has not begun, and its time neither.
        await settled()
        assert not waiting.done()
        for _ in (*busy, waiting):
            slow.gate.release()
        await asyncio.to_thread(slow.begun.acquire)
        await asyncio.gather(waiting, return_exceptions=True)


async def test_one_that_limits_itself_has_the_time_that_the_job_has() -> None:
    catalog = Gated("catalog")
    async with RecognizerChain([Member(catalog, limits_itself=True)], recognizer_seconds=0.0) as chain:
        asking = asyncio.create_task(chain.identify(recording(), ignore))
        await asyncio.to_thread(catalog.begun.acquire)
        catalog.gate.release()
        assert (await asking).recognizer == "catalog"


# --- All at once --------------------------------------------------------------------------------------


NEVER = 1_000_000


class Slow(Scripted):
    """Answers after others have, or never, and notes when it is not waited for any more."""

    def __init__(self, name: str, after: int, **more: Any) -> None:
        super().__init__(name, **more)
        self._after = after
        self.begun = False
        self.cancelled = False

    async def recognize(self, query: float) -> Sequence[Match]:
        self.begun = True
        try:
            await (settled(self._after) if self._after < NEVER else asyncio.Event().wait())
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return await super().recognize(query)


async def together(*recognizers: Scripted) -> Recognition:
    async with RecognizerChain(recognizers, together=True) as chain:
        return await chain.identify(recording(), ignore)


async def test_asked_together_the_first_match_wins_and_slow_ones_are_not_waited_for_long() -> None:
    slow = Slow("slow", NEVER, title="Other")
    answer = await together(slow, Slow("quick", 1, title="Found"))
    assert answer.recognizer == "quick"
    assert [(match.song.title, match.score) for match in answer.matches] == [("Found", 0.9)]
    assert slow.cancelled


async def test_one_that_agrees_raises_the_score_and_one_that_does_not_leaves_it() -> None:
    answer = await together(Slow("one", 1, title="Found"), Slow("two", 50, title="found (Remastered)"))
    assert [match.score for match in answer.matches] == [0.99]
    answer = await together(Slow("one", 1, title="Found"), Slow("two", 50, title="Another"))
    assert [match.score for match in answer.matches] == [0.9]


async def test_asked_together_no_match_waits_for_all() -> None:
    answer = await together(Slow("one", 1), Slow("two", 50, title="Found"))
    assert answer.recognizer == "two"
    answer = await together(Slow("two", 50), Slow("one", 1, error=TwitchAudioError(ProblemCode.TIMEOUT, "Slow.")))
    assert (answer.recognizer, list(answer.matches)) == ("two", [])


async def test_asked_together_all_may_fail() -> None:
    error = TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, "It is away.", retry_after_seconds=7)
    with pytest.raises(TwitchAudioError) as raised:
        await together(Scripted("one", error=error), Scripted("two", error=error))
    assert raised.value.code is ProblemCode.RECOGNIZER_UNAVAILABLE
    assert raised.value.retry_after_seconds == 7


async def test_a_client_that_leaves_leaves_no_question_behind() -> None:
    slow = [Slow("one", NEVER), Slow("two", NEVER)]
    task = asyncio.create_task(together(*slow))
    await until(lambda: all(each.begun for each in slow))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(each.cancelled for each in slow)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (song("A", "B", isrc="ZZN992100042"), song("C", "D", isrc="zzn992100042"), True),
        (song("A", "B", isrc="ZZN992100042"), song("A", "B", isrc="ZZN992100043"), True),
        (song("Paper Lanterns", "Mira Holt"), song("paper lanterns (Live)", "The Low Tide", "MIRA HOLT"), True),
        (song("Paper Lanterns", "Mira Holt"), song("Paper Lanterns", "Somebody"), False),
        (song("Paper Lanterns", "Mira Holt"), song("Lanterns", "Mira Holt"), False),
        (song("夜に駆ける", "YOASOBI"), song("夜に駆ける", "yoasobi"), True),
        (song("(((", "..."), song("!!!", "..."), False),
    ],
)
def test_songs_are_told_to_be_the_same_by_isrc_or_by_title_and_artist(one: Song, other: Song, same: bool) -> None:
    assert same_song(one, other) is same
    assert same_song(other, one) is same


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("min_score", "found"), [(0.0, ["Unsure"]), (0.9, ["Unsure"]), (0.91, [])])
async def test_a_match_below_the_least_score_is_no_match(
    min_score: float, found: list[str], *, together: bool
) -> None:
    members = [Member(Scripted("paid", title="Unsure"), min_score=min_score), Scripted("other")]
    async with RecognizerChain(members, together=together) as chain:
        answer = await chain.identify(recording(), ignore)
    assert [match.song.title for match in answer.matches] == found
    assert answer.recognizer == "paid"


async def test_a_providers_song_has_the_landmarks_of_the_sound() -> None:
    sound = Recording(pcm=tune(1).cut(2, 6))
    guard = ProviderGuard("paid", FakeClock(), None, ())
    async with RecognizerChain([Member(Scripted("paid", title="Found"), guard)]) as chain:
        (match,) = (await chain.identify(sound, ignore)).matches
    assert match.song.landmarks == landmarks_of_sound(sound.pcm)
    assert points_of_text(match.song.landmarks)


async def test_an_answer_does_not_depend_on_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_pcm: Pcm) -> str:
        raise ValueError

    monkeypatch.setattr("fingerprint.recognizers.chain.landmarks_of_sound", broken)
    guard = ProviderGuard("paid", FakeClock(), None, ())
    async with RecognizerChain([Member(Scripted("paid", title="Found"), guard)]) as chain:
        (match,) = (await chain.identify(recording(), ignore)).matches
    assert (match.song.title, match.song.landmarks) == ("Found", None)
    assert "landmarks_failed" in caplog.messages


# --- Rests and budgets --------------------------------------------------------------------------------


async def test_one_that_rests_is_passed_over_until_its_time_has_come() -> None:
    clock = FakeClock()
    guard = ProviderGuard("paid", clock, None, ())
    fault = ProviderError("Paid", FailureKind.QUOTA, "It is used up.", retry_after_seconds=900.0)
    paid = Scripted("paid", error=fault)
    async with RecognizerChain([Member(paid, guard), Scripted("free")]) as chain:
        for _ in range(3):
            assert (await chain.identify(recording(), ignore)).recognizer == "free"
        assert paid.asked == 1
        await clock.advance(2_000.0)
        await chain.identify(recording(), ignore)
        assert paid.asked == 2


async def test_when_only_resting_ones_are_left_the_error_says_when_to_ask_again() -> None:
    guard = ProviderGuard("paid", FakeClock(), None, ())
    guard.record_failure(ProviderError("Paid", FailureKind.QUOTA, "It is used up."))
    async with RecognizerChain([Member(Scripted("paid"), guard), Scripted("free", missing="Empty.")]) as chain:
        text = await chain.unavailable_reason()
        with pytest.raises(TwitchAudioError) as raised:
            await chain.identify(recording(), ignore)
    assert text is not None
    assert text.startswith("It is used up. It is asked again in")
    assert raised.value.retry_after_seconds == pytest.approx(900, rel=0.2)


async def test_one_that_times_out_again_and_again_is_left_alone() -> None:
    guard = ProviderGuard("paid", FakeClock(), None, ())
    paid = Scripted("paid", stalls=True)
    async with RecognizerChain([Member(paid, guard), Scripted("free")], recognizer_seconds=LIMIT_SECONDS) as chain:
        for _ in range(6):
            await chain.identify(Recording(pcm=recording().pcm.cut(0, 0.1)), ignore)
    assert paid.asked == 3


async def test_after_the_process_stood_still_the_answer_is_timeout_and_no_recognizer_is_to_blame() -> None:
    class Suspended(Scripted):
        async def recognize(self, query: float) -> Sequence[Match]:
            skip_time(3_600.0)
            await asyncio.Event().wait()
            return await super().recognize(query)

    guard = ProviderGuard("paid", FakeClock(), None, ())
    async with RecognizerChain([Member(Suspended("paid"), guard)], recognizer_seconds=LIMIT_SECONDS) as chain:
        with pytest.raises(TwitchAudioError, match="stood still") as raised:
            await chain.identify(recording(), ignore)
    assert raised.value.code is ProblemCode.TIMEOUT
    assert guard.suspension() is None
