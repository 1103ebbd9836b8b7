"""Finds a recording's songs in a catalog: one query for a few seconds, several for a clip or a file."""

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.audio_query import AudioQuery
from fingerprint.catalog.confidence import THRESHOLD, WHOLE_THRESHOLD, beside_chances, chances_of_takes
from fingerprint.catalog.examination import Finding
from fingerprint.catalog.heard_landmarks import landmarks_of_finding
from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.overlaid import song_beneath
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.query import channel_levels
from fingerprint.catalog.search import SPEEDS, examine
from fingerprint.catalog.song_change import newest_first
from fingerprint.domain.audio import PART, Pcm

Item = TypeVar("Item")
Result = TypeVar("Result")

SHORT_SECONDS: Final = 12.0
"""A recording up to this long is one query."""

WINDOW_SECONDS: Final = 10.0
STEP_SECONDS: Final = 5.0
MAX_WINDOWS: Final = 240
"""The most windows, one per step, that a longer recording is searched in; a very long one has longer steps."""

LONE_CONFIDENCE: Final = 0.95
"""The least confidence of a song that is found in one of many windows: more queries make more chance matches."""

SAME_BEGIN_SECONDS: Final = 0.3
"""How far the beginning of one song may differ between two windows, in seconds."""

LAST_ATTEMPTS: Final = (0.3, 0.7)
"""Where in a long recording the last attempt is made, as shares of its length."""

THREADS: Final = min(4, os.cpu_count() or 1)
"""How many windows are searched at the same time."""

SPEED_PROBES: Final = 3
"""The least number of windows without a match, or a fourth of them, that are searched at other speeds."""


def prepare(pcm: Pcm, parameters: Parameters = DEFAULT) -> AudioQuery:
    """Fingerprint a recording. A long one is fingerprinted window by window when it is identified."""
    return prepared(AudioQuery(pcm, parameters))


def prepared(query: AudioQuery) -> AudioQuery:
    """The query, with what each search of a short recording needs first computed, and the rest under way."""
    if query.pcm.duration_seconds <= SHORT_SECONDS:
        query.prepare()
    return query


def identify(
    snapshot: Snapshot, query: AudioQuery, parameters: Parameters = DEFAULT, *, take: int = 1
) -> list[Finding]:
    """The songs found, each once; empty when there is none. CPU work, for a thread.

    In a few seconds, the newest song is first: it is what is playing. In a long recording it is the surest.
    `take`: which one of a question's takes it is; a later one must be surer. 0: a part of a long recording.
    """
    query.alone = take != PART
    taken = [
        replace(finding, confidence=beside_chances(finding.confidence, chances_of_takes(max(1, take))))
        for finding in _identify(snapshot, query, parameters)
    ]
    # In a long recording, two windows agree or one is surer.
    whole = query.alone and query.pcm.duration_seconds <= SHORT_SECONDS
    found = [finding for finding in taken if finding.confidence >= (WHOLE_THRESHOLD if whole else THRESHOLD)]
    # A part of a whole recording is never shown alone.
    return [_with_landmarks(snapshot, query, found[0], parameters), *found[1:]] if found and query.alone else found


def _with_landmarks(snapshot: Snapshot, query: AudioQuery, finding: Finding, parameters: Parameters) -> Finding:
    """The finding with the points of the sound that tell it; of a long recording, where it begins to be heard."""
    placed = finding
    if query.pcm.duration_seconds > SHORT_SECONDS:
        query = AudioQuery(query.pcm.cut(finding.position_seconds, WINDOW_SECONDS), parameters)
        placed = replace(finding, position_seconds=0.0)
    return replace(finding, landmarks=landmarks_of_finding(snapshot, query, placed, parameters))


def _identify(snapshot: Snapshot, query: AudioQuery, parameters: Parameters) -> list[Finding]:
    if query.pcm.duration_seconds <= SHORT_SECONDS:
        # The parts beside it may give a better answer, so this one is not tried at other speeds.
        best = examine(snapshot, query, parameters, speeds=SPEEDS if query.alone else ())
        if best is None or best.finding.confidence < THRESHOLD:
            return []
        return newest_first(snapshot, query, best, parameters)
    return _identify_long(snapshot, query.pcm, parameters)


def _identify_long(snapshot: Snapshot, pcm: Pcm, parameters: Parameters) -> list[Finding]:
    """Search the windows at the recording's own speed, and every few of those without a match at other speeds too.

    When a song is found at another speed, the other windows are searched at this speed: a song that is played
    faster is longer than a window, but most windows without a match hold no known song.

    Hot path; simple form: search every other window, then the windows between two that differ, then every few
    without a match at other speeds, each a loop of its own. As one pass, what windows share is transformed once,
    and windows are dropped as soon as they have been searched: each takes some 25 MB.
    """
    found_in: dict[int, Finding | None] = {}
    beneath: list[Finding] = []
    unmatched = 0
    count = len(list(window_starts(pcm.duration_seconds)))
    every = max(1, math.ceil(count / max(SPEED_PROBES, count // 4)))

    def search(window: Window, speeds: Sequence[float], *, as_it_is: bool) -> Finding | None:
        best = examine(snapshot, window.query, parameters, as_it_is=as_it_is, speeds=speeds)
        if best is None or best.finding.confidence < THRESHOLD:
            return None
        other = song_beneath(snapshot, window.query, best, parameters)
        if other is not None:
            beneath.append(window.placed(other.finding))
        return window.placed(best.finding)

    with ThreadPoolExecutor(THREADS, thread_name_prefix="window") as pool:

        def windows_to_probe() -> Iterator[Window]:
            nonlocal unmatched
            to_ask = windows_to_ask(windows(pcm, parameters), found_in)
            for window, finding in in_parallel(pool, lambda window: search(window, (), as_it_is=True), to_ask):
                found_in[window.number] = finding
                if finding is None:
                    if unmatched % every == 0:
                        yield window
                    unmatched += 1

        for window, finding in in_parallel(
            pool, lambda window: search(window, SPEEDS, as_it_is=False), windows_to_probe()
        ):
            found_in[window.number] = finding
        found = [finding for finding in found_in.values() if finding is not None]
        if not found:
            found = _far_speeds(snapshot, pcm, parameters)
        fitting = {min((1.0, *SPEEDS), key=lambda speed: abs(speed - each.speed)) for each in found} - {1.0}
        if fitting:
            without_match = {number for number, finding in found_in.items() if finding is None}
            left = (window for window in windows(pcm, parameters) if window.number in without_match)
            for window, finding in in_parallel(
                pool, lambda window: search(window, sorted(fitting), as_it_is=False), left
            ):
                found_in[window.number] = finding
    in_order = [finding for _, finding in sorted(found_in.items()) if finding is not None]
    # A song beneath another one is often faded in, so where it is heard alone tells better where it begins.
    known = {known for finding in in_order for known in (finding.track.id, *finding.also)}
    beneath.sort(key=lambda finding: finding.position_seconds)
    return merge([*in_order, *(each for each in beneath if each.track.id not in known)]) or merge(found)


def _far_speeds(snapshot: Snapshot, pcm: Pcm, parameters: Parameters) -> list[Finding]:
    """The last attempt, where nothing was found: a few seconds of it at far speeds and pitches."""
    for share in LAST_ATTEMPTS:
        start = share * (pcm.duration_seconds - WINDOW_SECONDS)
        best = examine(snapshot, AudioQuery(pcm.cut(start, WINDOW_SECONDS), parameters), parameters)
        if best is not None and best.finding.confidence >= LONE_CONFIDENCE:
            return [replace(best.finding, position_seconds=best.finding.position_seconds + start)]
    return []


def windows_to_ask(every: Iterable["Window"], found_in: Mapping[int, Finding | None]) -> Iterator["Window"]:
    """Every other window, and each window between two that are not one song playing on.

    `found_in`: the finding of each window searched so far, by number. The caller adds to it while this runs.
    """
    between: deque[Window] = deque()
    for window in every:
        if window.number % 2 == 0:
            yield window
        else:
            between.append(window)
        while between and between[0].number + 1 in found_in:
            first = between.popleft()
            if not continues(found_in[first.number - 1], found_in[first.number + 1]):
                yield first
    yield from between


def continues(earlier: Finding | None, later: Finding | None) -> bool:
    """Whether two findings are one song that plays on, not one that begins again."""
    if earlier is None or later is None or earlier.track.id != later.track.id:
        return False
    begins = [finding.position_seconds - finding.offset_seconds / finding.speed for finding in (earlier, later)]
    return earlier.speed == later.speed and abs(begins[1] - begins[0]) < SAME_BEGIN_SECONDS


def in_parallel(
    pool: Executor, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in order; a few are computed ahead.

    Threads make this faster, since NumPy releases the interpreter lock during transforms, sorting and counting.
    """
    ahead: deque[tuple[Item, Future[Result]]] = deque()
    for item in items:
        ahead.append((item, pool.submit(work, item)))
        if len(ahead) > THREADS:
            first, future = ahead.popleft()
            yield first, future.result()
    for item, future in ahead:
        yield item, future.result()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """A part of a long recording: its number, counted from 0, its start, and its query."""

    number: int
    start_seconds: float
    query: AudioQuery

    def placed(self, finding: Finding) -> Finding:
        """A finding in this window with its place in the whole recording."""
        return replace(finding, position_seconds=finding.position_seconds + self.start_seconds)


def windows(pcm: Pcm, parameters: Parameters = DEFAULT) -> Iterator[Window]:
    """The windows of a long recording; the sound that they share is transformed once."""
    hop = parameters.hop // parameters.phases
    length = (round(WINDOW_SECONDS * pcm.rate) - parameters.window) // hop + 1
    known: list[NDArray[np.float32]] = []
    known_from = known_to = 0
    for number, seconds in enumerate(window_starts(pcm.duration_seconds)):
        # On a step's edge, so that adjacent windows share steps.
        first = int(seconds * pcm.rate) // hop
        new_from = min(max(known_to, first), first + length)
        end = (first + length - 1) * hop + parameters.window
        new = Pcm(np.ascontiguousarray(pcm.samples[:, new_from * hop : end]), pcm.rate)
        levels = channel_levels(new, parameters)
        if new_from > first:
            levels = [
                np.concatenate([old[first - known_from :], more]) for old, more in zip(known, levels, strict=True)
            ]
        known, known_from, known_to = levels, first, first + length
        start = first * hop / pcm.rate
        query = AudioQuery(pcm.cut(start, WINDOW_SECONDS), parameters, levels=levels, alone=False)
        yield Window(number=number, start_seconds=start, query=query)


def window_starts(duration_seconds: float) -> Iterator[float]:
    """The starts of a long recording's windows, in seconds; the last window ends with the recording."""
    last = duration_seconds - WINDOW_SECONDS
    step = max(STEP_SECONDS, last / (MAX_WINDOWS - 1))
    count = int(last / step) + 1
    for index in range(count):
        yield index * step
    if last - (count - 1) * step > 0.5:
        yield last


def merge(findings: Sequence[Finding]) -> list[Finding]:
    """One finding for each track: where it is first heard, with its best confidence; surest first."""
    tracks: dict[str, list[Finding]] = {}
    for finding in findings:
        tracks.setdefault(finding.track.id, []).append(finding)
    merged = [
        replace(group[0], confidence=max(finding.confidence for finding in group))
        for group in tracks.values()
        if len(group) > 1 or group[0].confidence >= LONE_CONFIDENCE
    ]
    return sorted(merged, key=lambda finding: -finding.confidence)
