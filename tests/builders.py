"""Values for tests: each builder takes only what matters to the test and fills in the rest."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.domain.identification import (
    Identification,
    IdentificationId,
    Kind,
    Song,
    Stage,
    Status,
)

NOON: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def song(title: str = "Night Drive", *artists: str, **more: Any) -> Song:
    return Song(title=title, artists=artists or ("The Builders",), **more)


def identification(**more: Any) -> Identification:
    """A queued identification of the stream `somechannel`, created at noon, changed by `more`."""
    values: dict[str, Any] = {
        "id": IdentificationId("id-1"),
        "kind": Kind.STREAM,
        "target": "somechannel",
        "created_at": NOON,
    }
    return Identification(**(values | more))


def answered(title: str = "Night Drive", *, minutes: float = 0, **more: Any) -> Identification:
    """A successful identification, created some minutes after noon."""
    moment = NOON + timedelta(minutes=minutes)
    found = more.pop("song", song(title))
    values: dict[str, Any] = {
        "id": IdentificationId(f"id-{title}-{minutes}"),
        "status": Status.SUCCESSFUL,
        "stage": Stage.DONE,
        "created_at": moment,
        "finished_at": moment + timedelta(seconds=1),
        "song": found,
        "songs": (found,),
        "score": 0.9,
        "recognizer": "catalog",
    }
    return identification(**(values | more))


def recording(seconds: float = 6.0, started_at: datetime | None = None) -> Recording:
    samples = np.zeros((1, round(seconds * SAMPLE_RATE)), dtype=np.float32)
    return Recording(pcm=Pcm(samples), started_at=started_at)
