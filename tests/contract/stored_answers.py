"""Answers that a job store keeps."""

import dataclasses

from fingerprint.domain.identification import BroadcastMoment, Heard
from fingerprint.domain.targets import Target
from fingerprint.job_ports import Claimed, JobStore
from tests.builders import NOON, answered


async def store_heard(store: JobStore, target: Target) -> None:
    """Store an answer that was heard in broadcast 41 and does not name its channel."""
    work = await store.claim(target, owner="a", now=NOON, lease_seconds=5, skip_stored=True)
    assert isinstance(work, Claimed)
    begun = work.identification
    answer = dataclasses.replace(
        answered(),
        id=begun.id,
        kind=begun.kind,
        target=begun.target,
        created_at=begun.created_at,
        at_seconds=begun.at_seconds,
        moment=BroadcastMoment(broadcast="41", seconds=10.0),
        heard=Heard.NOW,
        captured_seconds=6.0,
        channel=None,
    )
    assert await store.finish(work.lease, answer)
