import asyncio
import logging
from collections.abc import Sequence

import pytest

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Match
from fingerprint.recognizers.chain import RecognizerChain
from tests.builders import recording, song


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

    async def unavailable(self) -> str | None:
        return self._missing

    def prepare(self, recording: Recording) -> float:
        if self._prepare_error is not None:
            raise self._prepare_error
        return recording.pcm.duration_seconds

    async def recognize(self, query: float) -> Sequence[Match]:
        self.asked += 1
        assert query > 0
        if self._stalls:
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
    with caplog.at_level(logging.WARNING):
        async with RecognizerChain([bad, Scripted("good", title="Found")], recognizer_seconds=0.05) as chain:
            answer = await chain.identify(recording(), ignore)
    assert answer.recognizer == "good"
    if fault != "has no keys":
        assert {getattr(record, "recognizer", None) for record in caplog.records} == {"bad"}


@pytest.mark.parametrize("fault", FAULTS)
async def test_when_all_fail_the_error_says_who_or_what_to_do(fault: str) -> None:
    bad = Scripted("bad", **FAULTS[fault])  # pyright: ignore[reportArgumentType] - the table fits the arguments
    async with RecognizerChain([bad], recognizer_seconds=0.05) as chain:
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
        text = await chain.unavailable()
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
        assert await chain.unavailable() is None
