"""Small parts of the simulator: its clock, signatures, faults and encoded rings."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from simulator.clock import SimulatedClock
from simulator.faults import Fault, FaultKind, FaultPlan, Step, taken
from simulator.media import FRAME, FRAME_TICKS, encode_ring, frame_at
from simulator.signing import Signer
from simulator.synth import RATE, Sound
from simulator.transport import Latency

# --- the clock ----------------------------------------------------------------------------------------


def test_a_frozen_clock_moves_by_hand_only() -> None:
    clock = SimulatedClock()
    clock.freeze()
    start = clock.time()
    assert clock.time() == start
    clock.advance(3600)
    assert clock.time() == start + 3600
    clock.resume()
    assert 0 <= clock.time() - (start + 3600) < 5
    clock.reset()
    assert clock.time() - start < 60


async def test_sleepers_wake_when_the_clock_is_moved() -> None:
    clock = SimulatedClock()
    clock.freeze()
    sleeper = asyncio.create_task(clock.sleep(600))
    await asyncio.sleep(0)
    clock.advance(599)
    await asyncio.sleep(0)
    assert not sleeper.done()
    clock.advance(1)
    async with asyncio.timeout(30):
        await sleeper


# --- signatures ---------------------------------------------------------------------------------------


def test_signatures_are_forty_hexadecimal_digits_of_the_exact_text() -> None:
    signer = Signer(b"secret")
    signature = signer.signature('{"channel":"a"}')
    assert len(signature) == 40
    assert int(signature, 16)
    assert signer.verify('{"channel":"a"}', signature)
    assert not signer.verify('{"channel": "a"}', signature)
    assert not signer.verify('{"channel":"a"}', "ü" * 40)
    assert not Signer(b"other").verify('{"channel":"a"}', signature)


def test_sealed_words_cannot_be_changed() -> None:
    signer = Signer(b"secret")
    word = signer.seal({"c": "a", "n": 1})
    assert signer.unseal(word) == {"c": "a", "n": 1}
    for broken in (word[:-1], "A" + word[1:], "", "!!", "é", word + "AAAA"):
        assert signer.unseal(broken) is None


# --- faults -------------------------------------------------------------------------------------------


def test_faults_happen_one_after_the_other_and_slowness_on_top() -> None:
    plan = FaultPlan()
    plan.set(
        Fault(step=Step.SEGMENT, kind=FaultKind.SLOW, seconds=0.1),
        Fault(step=Step.SEGMENT, kind=FaultKind.RESET, times=1),
        Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, times=2),
    )
    kinds = [[fault.kind for fault in plan.take(Step.SEGMENT)] for _ in range(4)]
    slow = FaultKind.SLOW
    assert kinds == [[slow, FaultKind.RESET], [slow, FaultKind.STATUS], [slow, FaultKind.STATUS], [slow]]
    assert plan.take(Step.GQL) == []


def test_faults_of_everybody_and_of_one_thing_add_up() -> None:
    everybody, one = FaultPlan(), FaultPlan()
    everybody.add(Fault(step=Step.GQL, kind=FaultKind.SLOW))
    one.add(Fault(step=Step.GQL, kind=FaultKind.HTML))
    assert [fault.kind for fault in taken(Step.GQL, everybody, one, None)] == [FaultKind.SLOW, FaultKind.HTML]


@pytest.mark.parametrize(
    ("step", "kind", "status", "times"),
    [
        (Step.SEGMENT, FaultKind.NULL_DATA, 503, None),
        (Step.CLIP, FaultKind.FILE_URI, 503, None),
        (Step.GQL, FaultKind.STATUS, 200, None),
        (Step.GQL, FaultKind.STATUS, 503, 0),
    ],
)
def test_faults_that_make_no_sense_are_refused(
    step: Step, kind: FaultKind, status: int, times: int | None
) -> None:
    with pytest.raises(ValueError, match=r"must|fault of"):
        Fault(step=step, kind=kind, status=status, times=times)


def test_latency_is_what_all_and_the_step_have() -> None:
    latency = Latency()
    latency.set(40, {Step.GQL: 10})
    assert (latency.of(Step.GQL), latency.of(Step.USHER)) == (0.05, 0.04)
    with pytest.raises(ValueError, match="latency"):
        latency.set(-1)


# --- rings --------------------------------------------------------------------------------------------


def hum(seconds: float) -> Sound:
    times = np.arange(round(seconds * RATE)) / RATE
    return np.stack([np.sin(2 * np.pi * 440 * times)] * 2).astype(np.float32)


def test_a_ring_is_encoded_once(tmp_path: Path) -> None:
    made = 0

    def make() -> Sound:
        nonlocal made
        made += 1
        return hum(1.0)

    first, again = encode_ring("a hum", tmp_path, make), encode_ring("a hum", tmp_path, make)
    assert first.frames == again.frames
    assert made == 1
    assert len(first.frames) == RATE // FRAME
    assert encode_ring("another hum", tmp_path, make).digest != first.digest


def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    ring = encode_ring("a hum", tmp_path, lambda: hum(1.0))
    (path,) = tmp_path.glob("*.aac")
    path.write_bytes(path.read_bytes()[:-3])
    assert encode_ring("a hum", tmp_path, lambda: hum(1.0)).frames == ring.frames


def test_too_little_sound_makes_no_programme(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 8 frames"):
        encode_ring("blip", tmp_path, lambda: hum(0.1))


def test_a_ring_goes_round(tmp_path: Path) -> None:
    ring = encode_ring("a hum", tmp_path, lambda: hum(1.0))
    count = len(ring.frames)
    assert ring.cut(count - 1, count + 2) == [ring.frames[-1], ring.frames[0], ring.frames[1]]
    assert ring.ticks == count * FRAME_TICKS
    assert [frame_at(ticks) for ticks in (0, 959, 960, 1920, 180_000)] == [0, 0, 1, 1, 94]
