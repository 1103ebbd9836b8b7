"""Tells which speeds and pitches of a piece of sound are worth searching: all of them are looked at in one go.

Each hypothesis is a speed and a pitch. The landmarks of the sound are paired once and moved for each; the most
telling of them are followed into a coarse vote histogram of its own. At a wrong speed its highest place is as
high as chance makes it, and most hypotheses are wrong: so they are each other's null distribution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.index import Snapshot
from fingerprint.catalog.landmarks import hash_pairs, successors
from fingerprint.catalog.parameters import DEFAULT, Parameters
from fingerprint.catalog.postings import bases, find_postings, gather
from fingerprint.catalog.query import PLACE_TRUST, RANK_TRUST, QueryPeaks, trust

FAN_OUT: Final = 3
"""The pairs of each peak."""

TABLE_PLACES: Final = 1 << 15
"""The places of each hypothesis's histogram: with a fourth of them, chance hides a third of the far speeds."""

LEAST_DEVIATION: Final = 0.05
"""The least standard deviation of chance, as a share of its middle: in a small catalog all may be equal."""

BINS_A_DOUBLING: Final = 8
"""How finely landmarks are sorted by how telling they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """The sound may be so many times faster and higher than the track."""

    speed: float
    pitch: float


def standing_out(
    snapshot: Snapshot,
    peaks: QueryPeaks,
    hypotheses: Sequence[Hypothesis],
    *,
    max_hits: int,
    parameters: Parameters = DEFAULT,
) -> NDArray[np.float64]:
    """How far each hypothesis stands out among the others, in standard deviations; shape (hypotheses,).

    `max_hits`: how many postings are read for each.
    """
    hashes, starts, trusts = _landmarks(peaks, hypotheses, parameters)
    if not hashes.shape[1] or not snapshot.segments:
        return np.zeros(len(hypotheses))
    # In order of hash, so that the index is read from its beginning to its end: several times faster.
    order = np.argsort(hashes, axis=None)
    found = [find_postings(live.segment, hashes.reshape(-1)[order]) for live in snapshot.segments]
    totals = np.sum([counts for _, counts in found], axis=0)
    in_rows = np.empty_like(totals)
    in_rows[order] = totals
    followed = _most_telling(in_rows.reshape(hashes.shape), trusts, max_hits).reshape(-1)[order]
    weights = np.log(1 + 0.1 * max(1, snapshot.frames) / np.maximum(totals, 1)).astype(np.float32)
    rows = order // hashes.shape[1] * TABLE_PLACES
    starts = starts.reshape(-1)[order]
    votes: list[NDArray[np.int64]] = []
    worth: list[NDArray[np.float32]] = []
    for live, base, (firsts, counts) in zip(snapshot.segments, bases(snapshot).tolist(), found, strict=False):
        there = np.flatnonzero(followed & (counts > 0))
        places = gather(live.segment.postings, firsts[there], counts[there]).astype(np.int64)
        places += np.repeat(base - starts[there], counts[there])
        places &= TABLE_PLACES - 1
        places += np.repeat(rows[there], counts[there])
        votes.append(places)
        worth.append(np.repeat(weights[there], counts[there]))
    size = len(hypotheses) * TABLE_PLACES
    table = np.bincount(np.concatenate(votes), np.concatenate(worth), size).reshape(-1, TABLE_PLACES)
    # Votes for an offset near the edge of a place also fall into the next.
    highest = (table[:, :-1] + table[:, 1:]).max(axis=1)
    return _standard(highest)


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many standard deviations each is above the middle; by the median, as a few of them may be no chance."""
    middle = np.median(values)
    deviation = max(1.4826 * float(np.median(np.abs(values - middle))), LEAST_DEVIATION * float(middle), 1e-9)
    return (values - middle) / deviation


def _landmarks(
    peaks: QueryPeaks, hypotheses: Sequence[Hypothesis], parameters: Parameters
) -> tuple[NDArray[np.uint32], NDArray[np.int64], NDArray[np.float32]]:
    """The hashes and starts (in frames) of each hypothesis's landmarks, and their trusts; 0 for those it lacks.

    All have shape (hypotheses, pairs).
    """
    peaks = peaks.loudest(parameters.quota)
    distance = peaks.steps // parameters.phases + parameters.lapse_frames + 2
    bins = np.rint(peaks.bins).astype(np.int64)
    anchors, targets, order = successors(peaks.frames + peaks.parts * distance, bins, parameters, fan_out=FAN_OUT)
    speeds = np.array([[each.speed] for each in hypotheses], np.float32)
    pitches = np.array([[each.pitch] for each in hypotheses], np.float32)
    exact = (peaks.frames + peaks.phases[peaks.parts] / parameters.phases).astype(np.float32)
    lapses = np.rint((exact[targets] - exact[anchors]) * speeds).astype(np.int32)
    lower = np.rint(peaks.bins[anchors] / pitches).astype(np.int32)
    intervals = np.rint(peaks.bins[targets] / pitches).astype(np.int32) - lower
    starts = np.rint(exact[anchors] * speeds).astype(np.int64)
    last = parameters.band_edges[-1]
    heard = (lapses > 0) & (lapses <= parameters.lapse_frames)
    heard &= (np.abs(intervals) <= parameters.interval_bins) & (lower < last) & (lower + intervals < last)
    ranks = np.maximum(peaks.ranks[anchors], peaks.ranks[targets])
    trusts = trust(PLACE_TRUST, order - 1) * trust(RANK_TRUST, ranks)
    return hash_pairs(lower, intervals, lapses), starts, trusts * heard


def _most_telling(totals: NDArray[np.int64], trusts: NDArray[np.float32], max_hits: int) -> NDArray[np.bool_]:
    """Which landmarks are followed: for each hypothesis those with the fewest postings for their trust."""
    useful = (totals > 0) & (trusts > 0)
    telling = np.log2(np.where(useful, totals, 1) / np.where(useful, trusts, 1))
    levels = np.clip(telling * BINS_A_DOUBLING, 0, 255).astype(np.int64)
    rows = np.arange(len(totals))[:, np.newaxis] * 256
    read = np.bincount((rows + levels).reshape(-1), (totals * useful).reshape(-1), len(totals) * 256)
    affordable = np.cumsum(read.reshape(-1, 256), axis=1) <= max_hits
    return useful & affordable.reshape(-1)[rows + levels]
