"""What a client asks for and gets: an identification, its states, and the songs in it."""

import dataclasses
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from fingerprint.domain.problems import Problem

IdentificationId = NewType("IdentificationId", str)


def new_identification_id() -> IdentificationId:
    """An unguessable id: 128 random bits, URL-safe."""
    return IdentificationId(secrets.token_urlsafe(16))


class Kind(StrEnum):
    """What is identified."""

    STREAM = "stream"
    CLIP = "clip"
    VIDEO = "video"
    FILE = "file"


class Status(StrEnum):
    """Where an identification stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    NO_MATCH = "no_match"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """True when nothing will change any more."""
        return self in FINISHED


FINISHED: Final = frozenset({Status.SUCCESSFUL, Status.NO_MATCH, Status.FAILED})


class Stage(StrEnum):
    """What a running identification is doing; they come in this order."""

    QUEUED = "queued"
    RESOLVING = "resolving"
    CAPTURING = "capturing"
    FINGERPRINTING = "fingerprinting"
    RECOGNIZING = "recognizing"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalIds:
    """A song's ids at other services; None or empty where unknown."""

    spotify_track: str | None = None
    spotify_album: str | None = None
    spotify_artists: tuple[str, ...] = ()
    youtube: str | None = None
    deezer_track: str | None = None
    deezer_album: str | None = None
    deezer_artists: tuple[str, ...] = ()
    apple_music: str | None = None

    def filled(self, other: "ExternalIds") -> "ExternalIds":
        """The same, with what is unknown taken from another."""
        return ExternalIds(
            spotify_track=self.spotify_track or other.spotify_track,
            spotify_album=self.spotify_album or other.spotify_album,
            spotify_artists=self.spotify_artists or other.spotify_artists,
            youtube=self.youtube or other.youtube,
            deezer_track=self.deezer_track or other.deezer_track,
            deezer_album=self.deezer_album or other.deezer_album,
            deezer_artists=self.deezer_artists or other.deezer_artists,
            apple_music=self.apple_music or other.apple_music,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRef:
    """Where a song stands in the local catalog. `path` is as it was given when it was indexed."""

    track_id: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Song:
    """A recognized song.

    `duration_seconds`: length of the song. `position_seconds`: where in the recording this song starts to be heard
    (0 for a live stream). `offset_seconds`: how far into the song the recording is at `position_seconds`.
    `release_date`: `YYYY-MM-DD`, or only as much of it as is known.
    """

    title: str
    artists: tuple[str, ...] = ()
    album: str | None = None
    label: str | None = None
    isrc: str | None = None
    release_date: str | None = None
    duration_seconds: float | None = None
    offset_seconds: float | None = None
    position_seconds: float = 0.0
    ids: ExternalIds = field(default_factory=ExternalIds)
    catalog: CatalogRef | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long each step took, in milliseconds; None for steps that did not run."""

    resolve_ms: float | None = None
    capture_ms: float | None = None
    fingerprint_ms: float | None = None
    recognize_ms: float | None = None
    total_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """One question and, once finished, its answer. Its JSON form is `fingerprint.wire`'s.

    `target` is the channel's login, the clip's slug, the video's id or the file's name. `at_seconds` is the
    moment in a video. `captured_at` is when the captured sound was broadcast; of a video, clip or file
    `captured_from_seconds` is how far into it that sound begins. `score` is the recognizer's confidence, 0..1.
    `songs` lists every song found, `song` is the best of them.
    """

    id: IdentificationId
    kind: Kind
    target: str
    created_at: datetime
    status: Status = Status.QUEUED
    stage: Stage = Stage.QUEUED
    finished_at: datetime | None = None
    at_seconds: float | None = None
    song: Song | None = None
    songs: tuple[Song, ...] = ()
    score: float | None = None
    recognizer: str | None = None
    captured_seconds: float | None = None
    captured_at: datetime | None = None
    captured_from_seconds: float | None = None
    timings: Timings = field(default_factory=Timings)
    problem: Problem | None = None
    disputed: bool = False
    """A listener reported the answer as wrong; known to stores only, not part of the JSON form."""

    def at_stage(self, stage: Stage) -> "Identification":
        """The same, running, at a later stage. Stages never go back and a finished one never runs again."""
        order = list(Stage)
        if self.status.finished or order.index(stage) < order.index(self.stage):
            return self
        return dataclasses.replace(self, status=Status.RUNNING, stage=stage)

    def failed(self, problem: Problem, finished_at: datetime) -> "Identification":
        """The same, finished with a problem."""
        return dataclasses.replace(
            self, status=Status.FAILED, stage=Stage.DONE, finished_at=finished_at, problem=problem
        )


ABANDONED_AFTER: Final = timedelta(seconds=60)
"""Longer than a job may wait and run: one that is still unfinished then was left behind by its owner."""


def abandoned(identification: Identification, now: datetime) -> bool:
    """Whether nobody will answer an unfinished identification any more, so that the next one starts afresh."""
    return not identification.status.finished and now - identification.created_at > ABANDONED_AFTER


NO_MATCH_REUSE: Final = timedelta(minutes=10)
"""How long a clip or video for which nothing was found is not asked again: music may have been added since."""


def reusable(identification: Identification, now: datetime) -> bool:
    """Whether a stored answer is given again instead of starting a job.

    A clip or a moment in a video never changes, so its song is good for ever, unless a listener disputed it; a
    live stream's never is.
    """
    if identification.kind not in (Kind.CLIP, Kind.VIDEO) or identification.finished_at is None:
        return False
    if identification.disputed:
        return False
    if identification.status is Status.SUCCESSFUL:
        return True
    return identification.status is Status.NO_MATCH and now - identification.finished_at < NO_MATCH_REUSE
