"""Whether the durations in the playlist of a whole VOD are right, by the timestamps of a few of its segments."""

import asyncio
import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from fingerprint.hls.moments import is_muted
from fingerprint.hls.playlist import Segment
from fingerprint.hls.timing import (
    CLOCK_WRAP_SECONDS,
    TimedSegment,
    duration_ratio,
    duration_ratio_beside_jumps,
    durations_may_be_wrong,
)
from fingerprint.media.segments import SegmentCache

_TOLD_BY: Final = 3
_FIRST: Final = 9
"""How many segments tell how long all are: far from one another, and where the clock jumps between these."""


async def true_ratio(cache: SegmentCache, segments: Sequence[Segment]) -> float:
    """How much longer segments are than the playlist says, where timestamps show that all are; else 1.

    The first, the middle and the last one with sound tell, or, where the clock jumps, the first ones. Only the
    beginnings of these are fetched.
    """
    starts = list(accumulate((each.duration_seconds for each in segments), initial=0.0))
    heard = [number for number, each in enumerate(segments) if not is_muted(each) and not each.gap]

    async def timed(numbers: Sequence[int]) -> Sequence[TimedSegment]:
        stamps = await asyncio.gather(*(cache.first_timestamp(segments[number]) for number in numbers))
        return [
            TimedSegment(
                start_seconds=starts[number],
                duration_seconds=segments[number].duration_seconds,
                first_timestamp=stamp,
            )
            for number, stamp in zip(numbers, stamps, strict=True)
        ]

    if len(heard) < _TOLD_BY:
        return 1.0
    wrap = math.inf if segments[heard[0]].init is not None else CLOCK_WRAP_SECONDS
    far = await timed([heard[0], heard[len(heard) // 2], heard[-1]])
    if not durations_may_be_wrong(far, wrap=wrap):
        return 1.0
    ratio = duration_ratio(far, wrap=wrap)
    return ratio if ratio != 1.0 else duration_ratio_beside_jumps(await timed(heard[:_FIRST]), wrap=wrap)
