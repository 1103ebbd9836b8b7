"""Computes the segments of a live broadcast, and where stitched ads are between them, without I/O.

A broadcast's time is counted in ticks (90 kHz) since it went live. Content is cut on a grid of one segment length.
An ad pod takes the place of content for its time; its segments are counted from its start, the last one is
trimmed, and content is cut again from the pod's end to the next line of the grid.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Pod:
    """A stitched ad break [start, end) in ticks; `roll` is PREROLL or MIDROLL."""

    start: int
    end: int
    roll: str = "MIDROLL"


@dataclass(frozen=True, slots=True)
class Piece:
    """A segment of the broadcast, [start, end) in ticks. `pod` is the ad break that it belongs to."""

    sequence: int
    start: int
    end: int
    pod: Pod | None = None


def add_pod(pods: Sequence[Pod], pod: Pod, *, at_most: int = 64) -> tuple[Pod, ...]:
    """The pods with one more, in order, without those that it overlaps; at most `at_most`, the newest."""
    kept = [other for other in pods if other.end <= pod.start or other.start >= pod.end]
    return tuple(sorted([*kept, pod])[-at_most:])


def pieces(start: int, end: int, *, grid: int, pods: Sequence[Pod]) -> list[Piece]:
    """All pieces that begin at or after the piece in which `start` lies and end by `end`."""
    at = _piece_start(max(0, start), grid, pods)
    number = _starts_before(at, grid, pods)
    found: list[Piece] = []
    while True:
        pod = _pod_at(at, pods)
        if pod is not None:
            until = min(pod.end, at + grid)
        else:
            line = (at // grid + 1) * grid
            later = bisect_right(pods, at, key=lambda other: other.start)
            until = min(line, pods[later].start) if later < len(pods) else line
        if until > end:
            return found
        found.append(Piece(number, at, until, pod))
        number += 1
        at = until


def _pod_at(at: int, pods: Sequence[Pod]) -> Pod | None:
    index = bisect_right(pods, at, key=lambda pod: pod.start) - 1
    return pods[index] if index >= 0 and at < pods[index].end else None


def _piece_start(at: int, grid: int, pods: Sequence[Pod]) -> int:
    pod = _pod_at(at, pods)
    if pod is not None:
        return pod.start + (at - pod.start) // grid * grid
    before = max((pod.end for pod in pods if pod.end <= at), default=0)
    return max(at // grid * grid, before)


def _starts_before(at: int, grid: int, pods: Sequence[Pod]) -> int:
    """How many pieces begin before `at`, which is the start of a piece."""
    count = 0
    done = 0
    for pod in pods:
        if pod.start >= at:
            break
        count += _content_starts(done, pod.start, grid)
        count += -(-(min(at, pod.end) - pod.start) // grid)
        done = pod.end
    return count + _content_starts(done, at, grid) if at > done else count


def _content_starts(start: int, end: int, grid: int) -> int:
    """How many pieces of content begin in [start, end): one at `start`, and one on each later line of the grid."""
    return 0 if end <= start else 1 + (end - 1) // grid - start // grid
