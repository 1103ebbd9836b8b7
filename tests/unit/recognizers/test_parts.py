"""Long recordings before providers that look at a few seconds."""

from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import Stage
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.ports import Match
from fingerprint.providers.guard import ProviderGuard
from fingerprint.providers.parts import merge_matches, split_recording
from fingerprint.recognizers.chain import Member, RecognizerChain
from tests.builders import NOON, recording, song
from tests.fakes import FakeClock


@pytest.mark.parametrize(
    ("seconds", "most", "starts"),
    [
        (6.0, 5, [0.0]),
        (13.0, 5, [0.0]),
        (20.0, 5, [0.0, 8.0]),
        (30.0, 5, [0.0, 9.0, 18.0]),
        (60.0, 5, [0.0, 12.0, 24.0, 36.0, 48.0]),
        (90.0, 3, [0.0, 39.0, 78.0]),
        (30.0, 1, [0.0]),
    ],
)
def test_parts_cover_a_recording_as_far_as_their_number_allows(
    seconds: float, most: int, starts: list[float]
) -> None:
    whole = recording(seconds, started_at=NOON)
    parts = split_recording(whole, most)
    assert [part.start_seconds for part in parts] == starts
    if len(parts) == 1:
        assert parts[0].recording is whole
        return
    for part in parts:
        assert part.recording.pcm.duration_seconds == pytest.approx(12.0)
        assert part.recording.started_at == NOON + timedelta(seconds=part.start_seconds)


def test_a_song_of_several_parts_is_one_song_where_it_is_first_heard() -> None:
    first, second, third = split_recording(recording(30.0), 5)
    one, other = song("One"), song("Other", position_seconds=2.0)
    found = merge_matches(
        [
            (first, [Match(song=one, score=0.8)]),
            (second, [Match(song=one, score=0.9)]),
            (third, [Match(song=other, score=0.95)]),
        ]
    )
    assert [(match.song.title, match.song.position_seconds, match.score) for match in found] == [
        ("Other", 20.0, 0.95),
        ("One", 0.0, 0.9),
    ]


Say = Callable[[int], Sequence[Match]]


class Told:
    """A provider that answers by the number of the question."""

    name = "paid"

    def __init__(self, say: Say) -> None:
        self._say = say
        self.asked = 0

    async def unavailable_reason(self) -> str | None:
        return None

    def prepare(self, recording: Recording) -> float:
        return recording.pcm.duration_seconds

    async def recognize(self, query: float) -> Sequence[Match]:
        assert query <= 13.0
        self.asked += 1
        return self._say(self.asked)


def nothing(_number: int) -> Sequence[Match]:
    return []


def silent(_number: int) -> Sequence[Match]:
    raise TwitchAudioError(ProblemCode.NO_AUDIO, "It is silent.")


def found_or_away(number: int) -> Sequence[Match]:
    if number == 2:
        return [Match(song=song("Found"), score=0.9)]
    raise TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, "It is away.")


def nothing_or_away(number: int) -> Sequence[Match]:
    if number == 2:
        return []
    raise TwitchAudioError(ProblemCode.UPSTREAM_UNAVAILABLE, "It is away.")


def nothing_or_silent(number: int) -> Sequence[Match]:
    return [] if number == 2 else silent(number)


@pytest.mark.parametrize(
    ("say", "titles", "code"),
    [
        (nothing, [], None),
        (found_or_away, ["Found"], None),
        (nothing_or_silent, [], None),
        (nothing_or_away, None, ProblemCode.RECOGNIZER_UNAVAILABLE),
        (silent, None, ProblemCode.NO_AUDIO),
    ],
)
async def test_a_long_recording_has_an_answer_when_its_parts_have(
    say: Say, titles: list[str] | None, code: ProblemCode | None
) -> None:
    provider = Told(say)
    stages: list[Stage] = []
    async with RecognizerChain([Member(provider, ProviderGuard("paid", FakeClock(), None, ()), 5)]) as chain:
        if code is None:
            answer = await chain.identify(recording(30.0), stages.append)
            assert [match.song.title for match in answer.matches] == titles
        else:
            with pytest.raises(TwitchAudioError) as raised:
                await chain.identify(recording(30.0), stages.append)
            assert raised.value.code is code
    assert provider.asked == 3
    assert stages == [Stage.FINGERPRINTING, Stage.RECOGNIZING]
