"""Puts decoded sound where it belongs in time: silence where some is missing, and when the first sample was."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.hls.timing import (
    Origin,
    clock_difference,
    clocks_differ,
    durations_are_rounded,
    placed,
)
from fingerprint.media.containers import clock_wrap
from fingerprint.media.decoder_protocol import Mark
from fingerprint.media.joined import Joined, MediaPart
from fingerprint.media.pcm import Decoded

Run = tuple[int, float]
"""Consecutive samples: the number of the first one, and its position in seconds."""

_MAX_OUTSIDE_SECONDS: Final = 12.0
"""How far after its segment's end sound may be: the segment that is being produced has no time of its own."""

_MIN_GAP_SECONDS: Final = 0.05
_MAX_OVERLAP_SECONDS: Final = 0.5
"""Overlaps up to this are rounding, and the sound is joined end to end."""

_FRAMES_SECONDS: Final = 0.15
_EXACT: Final = 0.01
_ROUNDED_SECONDS: Final = 0.5
"""How far the length of sound may be from its segments' durations: by some frames, by a part of it, and by what is
rounded of each whole number."""

_MAX_FILE_GAP_SECONDS: Final = 60.0
"""A longer gap in a file is a clock that jumped."""


@dataclass(frozen=True, slots=True)
class PlacedSound:
    """Sound without what was missing in it, of which `heard_seconds` are no gaps; it begins at `start_seconds`.

    `confirms`: its own length agrees with the durations that place it.
    """

    pcm: Pcm
    start_seconds: float
    heard_seconds: float
    confirms: bool = True


def placed_segments(
    joined: Joined, decoded: Sequence[Decoded | None], *, origin: Origin | None = None
) -> PlacedSound:
    """The sound of segments, decoded for each part; a part without any sound is missing.

    Its start counts from the start of the first segment, as the playlist has it. Raises ValueError when no part
    has sound.
    """
    bases = placed_parts(joined, origin)
    sounds: list[NDArray[np.float32]] = []
    runs: list[Run] = []
    begins: list[tuple[int, int]] = []
    before = passed = 0
    for part, part_bases, sound in zip(joined.parts, bases, decoded, strict=True):
        if sound is not None:
            for (sample, seconds), number in _runs_of(part, part_bases, sound):
                runs.append((before + sample, seconds))
                begins.append((before + sample, passed + number))
            sounds.append(sound.pcm.samples)
            before += sound.pcm.samples.shape[1]
        passed += len(part.timed)
    channels = max(samples.shape[0] for samples in sounds)
    alike = [np.broadcast_to(samples, (channels, samples.shape[1])) for samples in sounds]
    samples = alike[0] if len(alike) == 1 else np.concatenate(alike, axis=1)
    longest = longest_seconds(joined.duration_seconds) + joined.extra_seconds
    placed_sound = _spaced(Pcm(samples, SAMPLE_RATE), runs, max_seconds=longest)
    ratio = 1.0 if origin is None else origin.ratio
    lengths = _lengths(begins, before, [each.duration_seconds for each in joined.timed])
    return replace(placed_sound, confirms=_confirms(lengths, joined, ratio))


def _lengths(
    begins: Sequence[tuple[int, int]], samples: int, durations: Sequence[float]
) -> list[tuple[float, Sequence[float]]]:
    """How long each stretch of sound without a gap is, in seconds, and the durations of the segments it is of.

    `begins`: its first sample and its first segment's number.
    """
    ends = [*begins[1:], (samples, len(durations))]
    return [
        ((after - sample) / SAMPLE_RATE, durations[number : max(number + 1, following)])
        for (sample, number), (after, following) in zip(begins, ends, strict=True)
    ]


def _confirms(lengths: Sequence[tuple[float, Sequence[float]]], joined: Joined, ratio: float) -> bool:
    """Whether a stretch of sound is as long as its segments, whose durations are `ratio` times the listed ones.

    Shorter ones may have lost some sound, but none can be longer. Where each segment has a clock of its own, all
    have to be as long: nothing tells whether a short one has lost its start or its end.
    """
    wrap = clock_wrap(joined.parts[0].container)
    rounded = durations_are_rounded(joined.timed, wrap=wrap)
    exact: list[bool] = []
    for seconds, durations in lengths:
        slack = max(_FRAMES_SECONDS, _EXACT * seconds, _ROUNDED_SECONDS * len(durations) if rounded else 0.0)
        longer = seconds - sum(durations) * ratio
        if longer > slack:
            return False
        exact.append(longer >= -slack)
    return all(exact) if clocks_differ(joined.timed, wrap=wrap) else any(exact)


def longest_seconds(listed_seconds: float) -> float:
    """How long the sound of segments may be that are so long by the playlist, whose durations may be wrong."""
    return 1.5 * listed_seconds + 1.0


def placed_parts(joined: Joined, origin: Origin | None = None) -> list[list[float]]:
    """Where the first timestamp of each segment of each part is, as `placed` has it.

    Parts in the same container share a clock, unless their timestamps say otherwise.
    """
    found: list[list[float]] = []
    for container, group in groupby(joined.parts, key=lambda part: part.container):
        parts = list(group)
        timed = [segment for part in parts for segment in part.timed]
        bases = iter(placed(timed, wrap=clock_wrap(container), origin=None if found else origin))
        found += [list(islice(bases, len(part.timed))) for part in parts]
    return found


def _runs_of(part: MediaPart, bases: Sequence[float], decoded: Decoded) -> list[tuple[Run, int]]:
    """The runs of a part's sound, and the number of the segment in which each begins."""
    wrap = clock_wrap(part.container)
    runs: list[tuple[Run, int]] = []
    placed_by_playlist = -1
    for mark in _in_order(decoded.marks, decoded.pcm):
        number = max(0, bisect_right(part.offsets, mark.position) - 1)
        segment, base = part.timed[number], bases[number]
        seconds = math.nan
        if segment.first_timestamp is not None:
            seconds = base + clock_difference(mark.seconds, segment.first_timestamp, wrap=wrap)
        if not base - 1.0 <= seconds <= base + segment.duration_seconds + _MAX_OUTSIDE_SECONDS:
            if number == placed_by_playlist:
                continue
            seconds, placed_by_playlist = segment.start_seconds, number
        runs.append(((mark.sample, seconds), number))
    # Without marks, the sound of a part is where the part is.
    first = ((0, runs[0][0][1]), runs[0][1]) if runs else ((0, bases[0]), 0)
    return [first, *runs[1:]]


def placed_clip(decoded: Decoded, *, clip_seconds: float | None, max_seconds: float) -> PlacedSound:
    """The sound of a clip's file, whose time begins at 0, or with its first track if it would be too long then."""
    marks = _in_order(decoded.marks, decoded.pcm)
    begins = marks[0].begins if marks else math.nan
    ends = (
        marks[-1].seconds + (decoded.pcm.samples.shape[1] - marks[-1].sample) / decoded.pcm.rate if marks else 0.0
    )
    late = not math.isnan(begins) and (begins < 0 or ends > (clip_seconds or max_seconds) + 2.0)
    return _placed_file(decoded, zero=begins if late else 0.0, max_seconds=max_seconds)


def placed_file(decoded: Decoded, *, max_seconds: float) -> PlacedSound:
    """The sound of a file, whose time begins with its first track."""
    begins = decoded.marks[0].begins if decoded.marks else math.nan
    return _placed_file(decoded, zero=0.0 if math.isnan(begins) else begins, max_seconds=max_seconds)


def _placed_file(decoded: Decoded, *, zero: float, max_seconds: float) -> PlacedSound:
    """Gaps are kept; what lies before the previous sound, or absurdly long after it, follows end to end."""
    runs: list[Run] = []
    for mark in _in_order(decoded.marks, decoded.pcm):
        expected = runs[-1][1] + (mark.sample - runs[-1][0]) / decoded.pcm.rate if runs else 0.0
        seconds = mark.seconds - zero
        limit = _MAX_FILE_GAP_SECONDS if runs else max_seconds
        if runs and not expected < seconds <= expected + limit:
            zero, seconds = mark.seconds - expected, expected
        elif not 0.0 <= seconds <= limit:
            zero, seconds = mark.seconds, 0.0
        runs.append((mark.sample, seconds if seconds > _MIN_GAP_SECONDS else 0.0))
    return _spaced(decoded.pcm, runs, max_seconds=max_seconds)


def _in_order(marks: Sequence[Mark], pcm: Pcm) -> list[Mark]:
    """The marks that can be true, which come from an untrusted process: at growing samples of the sound."""
    found: list[Mark] = []
    for mark in marks:
        if mark.sample < pcm.samples.shape[1] and (not found or mark.sample > found[-1].sample):
            found.append(mark)
    return found


def _spaced(pcm: Pcm, runs: Sequence[Run], *, max_seconds: float) -> PlacedSound:
    """The sound with silence in its gaps, at most `max_seconds` long.

    A run that begins before the previous one has ended follows it, without what they share if that is much.
    """
    samples, rate = pcm.samples, pcm.rate
    runs = [(0, runs[0][1] if runs else 0.0), *runs[1:]]
    ends = [*(sample for sample, _ in runs[1:]), samples.shape[1]]
    limit = round(max_seconds * rate)
    pieces: list[NDArray[np.float32]] = []
    length = heard = 0
    for (first, seconds), last in zip(runs, ends, strict=True):
        gap = round((seconds - runs[0][1]) * rate) - length
        shared = 0
        if gap >= _MIN_GAP_SECONDS * rate:
            pieces.append(np.zeros((samples.shape[0], min(gap, limit - length)), np.float32))
            length += pieces[-1].shape[1]
        elif gap < -_MAX_OVERLAP_SECONDS * rate:
            shared = min(-gap, last - first)
        pieces.append(samples[:, first + shared : min(last, first + shared + limit - length)])
        length += pieces[-1].shape[1]
        heard += pieces[-1].shape[1]
    joined = pieces[0] if len(pieces) == 1 else np.concatenate(pieces, axis=1)
    return PlacedSound(Pcm(np.ascontiguousarray(joined), rate), runs[0][1], heard / rate)
