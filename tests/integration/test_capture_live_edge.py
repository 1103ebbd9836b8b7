"""The newest sound of a live stream: what has come of the segment that is being made, decoded as it comes."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import timedelta

import pytest
import pytest_asyncio

from fingerprint.domain.audio import Recording
from fingerprint.domain.targets import ChannelTarget
from fingerprint.media.decoder import DecoderPool
from fingerprint.media.pcm import Decoded
from simulator.faults import Fault, FaultKind, Step
from simulator.media import TICKS
from tests.integration.capture_twitch import Listener, heard, listener_of, listening

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIECE = 2.0


class Watched(DecoderPool):
    """Counts what it decodes in one go."""

    in_one_go = 0

    async def decode(self, encoded: bytes, *, container: str, max_seconds: float) -> Decoded:
        self.in_one_go += 1
        return await super().decode(encoded, container=container, max_seconds=max_seconds)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Listener]:
    """A listener that can spare a decoder."""
    async with listening(tmp_path_factory.getbasetemp() / "ladder") as one, Watched(workers=2) as pair:
        await pair.ready()
        yield listener_of(one.twitch, one.resolver, one.media, pair, one.pauses)


@pytest_asyncio.fixture(loop_scope="module")
async def listener(running: Listener) -> Listener:
    listener = running.afresh()
    listener.twitch.configure_channel("ladder", prefetch=True)
    at(listener, 1.6)
    return listener


def at(listener: Listener, seconds: float) -> None:
    """Move the clock so far into the segment that is being made; a quarter of it is sent each half second."""
    channel = listener.twitch.channel("ladder")
    listener.twitch.clock.advance((TICKS * PIECE - channel.ticks % round(TICKS * PIECE)) / TICKS + seconds)


def one_comes_late(listener: Listener) -> None:
    """One of the finished segments, so that what is due of the one being made has surely come before."""
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.SLOW, seconds=2.0, times=1))


def assert_right_to_the_end(listener: Listener, recording: Recording) -> None:
    """All of it is what the channel played then."""
    assert recording.started_at is not None
    second = 0.4
    while second < recording.pcm.duration_seconds - 0.3:
        moment = (recording.started_at + timedelta(seconds=second)).timestamp()
        if abs(moment - round(moment)) > 0.3:
            assert heard(recording.pcm, second) == pytest.approx(
                listener.rung(recording.started_at, second), abs=8
            )
        second += 0.35


@pytest.mark.parametrize("fragmented", [False, True], ids=["mpegts", "fragmented"])
async def test_what_has_come_of_the_segment_being_made_is_heard(listener: Listener, fragmented: bool) -> None:
    listener.twitch.configure_channel("ladder", fragmented=fragmented)
    one_comes_late(listener)
    recording = await listener.listen("ladder")
    assert 3 * PIECE + 1.0 < recording.pcm.duration_seconds < 3 * PIECE + 1.6, "three of four portions are due"
    assert_right_to_the_end(listener, recording)
    assert recording.started_at is not None
    heard_until = recording.started_at + timedelta(seconds=recording.pcm.duration_seconds)
    # The last finished one had ended 1.6 s before, and the late one took 0.5 s.
    assert (listener.clock.now() - heard_until).total_seconds() < 2.0, "no finished segment is so new"
    assert listener.twitch.count(Step.SEGMENT) == (5 if fragmented else 4)


async def test_the_first_take_is_decoded_while_it_comes(listener: Listener) -> None:
    assert isinstance(listener.decoder, Watched)
    before = listener.decoder.in_one_go
    await listener.listen("ladder")
    assert listener.decoder.in_one_go == before
    listener.twitch.fail(Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=404, times=1))
    await listener.listen("ladder")
    assert listener.decoder.in_one_go == before + 1, "one was missing, and an older one came in its place"


async def test_nobody_waits_for_a_segment_that_has_only_begun(listener: Listener) -> None:
    """See tests/unit/media/test_segments.py for the proof that nothing is waited for, not even a moment."""
    at(listener, 0.1)  # nothing of it is due, and the clock is stopped: it would never come
    recording = await listener.listen("ladder")
    assert recording.pcm.duration_seconds == pytest.approx(3 * PIECE, abs=0.1)
    assert_right_to_the_end(listener, recording)
    assert listener.twitch.count(Step.SEGMENT) == 4, "it was asked for"
    assert listener.clock.slept == 0


async def test_an_advertisement_that_is_about_to_begin_is_not_fetched(listener: Listener) -> None:
    at(listener, 0.1)
    listener.twitch.channel("ladder").start_ad(30.0)
    at(listener, 0.1)  # the advertisement is being made now, and only content is finished
    one_comes_late(listener)
    recording = await listener.listen("ladder")
    assert recording.pcm.duration_seconds == pytest.approx(3 * PIECE, abs=0.1)
    assert_right_to_the_end(listener, recording)
    assert listener.twitch.count(Step.SEGMENT) == 3


async def test_further_takes_begin_where_finished_segments_end(listener: Listener) -> None:
    one_comes_late(listener)
    source = await listener.sessions.resolve(ChannelTarget("ladder"))
    async with aclosing(listener.capture.takes(source, 3 * PIECE)) as takes:
        first, second = await anext(takes), await anext(takes)
    assert first.pcm.duration_seconds > 3 * PIECE + 1.0
    assert second.pcm.duration_seconds == pytest.approx(12.0, abs=0.1)
    assert_right_to_the_end(listener, second)
