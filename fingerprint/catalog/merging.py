"""Which IndexSegments are merged, and when."""

from collections.abc import Sequence
from typing import Final

from fingerprint.catalog.index import LiveSegment
from fingerprint.catalog.segment_layout import (
    GAP,
    POSITION_LIMIT,
)

TIER_RATIO: Final = 4
"""How many IndexSegments of a size are merged into the next size. Each track is rewritten log4(tracks) times."""

PURGE_SHARE: Final = 0.2
"""The share of removed tracks from which an IndexSegment is rewritten."""


def choose_merge(segments: Sequence[LiveSegment]) -> list[LiveSegment]:
    """The IndexSegments to merge next; empty when none need merging.

    Log-structured, in tiers by the number of tracks (P. O'Neil et al., "The Log-Structured Merge-Tree", 1996):
    TIER_RATIO files of a tier become one of the next. A file with many removed tracks is rewritten alone.
    """
    for live in segments:
        if len(live.removed) > PURGE_SHARE * len(live.alive):
            return [live]
    tiers: dict[int, list[LiveSegment]] = {}
    for live in segments:
        tier = 0
        while TIER_RATIO ** (tier + 1) <= len(live.alive):
            tier += 1
        tiers.setdefault(tier, []).append(live)
    for tier in sorted(tiers):
        chosen = tiers[tier][:TIER_RATIO]
        if len(chosen) == TIER_RATIO and _fits(chosen):
            return chosen
    return []


def _fits(segments: Sequence[LiveSegment]) -> bool:
    frames = sum(live.segment.frames for live in segments) + GAP
    postings = sum(len(live.segment.postings) for live in segments)
    return max(frames, postings) < POSITION_LIMIT
