"""What a client asks for and gets: an identification, its states, and the songs in it.

These dataclasses define their JSON, too: msgspec writes, reads and describes them (`fingerprint.wire`), and
each `Meta` is the description of its field in the OpenAPI document. A new field of a song is added here.
"""

import dataclasses
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Final, NewType

from msgspec import Meta

from fingerprint.domain.artwork import Artwork
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
    """The state of an identification."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    NO_MATCH = "no_match"
    FAILED = "failed"

    @property
    def finished(self) -> bool:
        """True when the state is final."""
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
    """A song's ids at other services; null or empty where unknown."""

    spotify_track: str | None = None
    spotify_album: str | None = None
    spotify_artists: tuple[str, ...] = ()
    youtube: str | None = None
    deezer_track: str | None = None
    deezer_album: str | None = None
    deezer_artists: tuple[str, ...] = ()
    apple_music: str | None = None

    def filled(self, other: "ExternalIds") -> "ExternalIds":
        """These ids, with each unknown one taken from `other`."""
        return ExternalIds(**{name: getattr(self, name) or getattr(other, name) for name in _ID_NAMES})


_ID_NAMES: Final = tuple(item.name for item in dataclasses.fields(ExternalIds))


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRef:
    """A song's track in the local catalog."""

    track_id: str
    path: Annotated[
        str | None, Meta(description="As it was given when it was indexed. Operators alone are given it.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SongMetadata:
    """What is known about a song besides its title, from any source: tags, the catalog, a recognizer."""

    artists: tuple[str, ...] = ()
    album: str | None = None
    label: str | None = None
    isrc: str | None = None
    release_date: Annotated[str | None, Meta(description="`YYYY-MM-DD`, or as much of it as is known.")] = None
    ids: ExternalIds = ExternalIds()

    @property
    def metadata(self) -> dict[str, Any]:
        """These fields by name, to construct another class of `SongMetadata` from them."""
        return {name: getattr(self, name) for name in METADATA_FIELDS}


METADATA_FIELDS: Final = tuple(item.name for item in dataclasses.fields(SongMetadata))


@dataclass(frozen=True, slots=True, kw_only=True)
class Song(SongMetadata):
    """A recognized song."""

    title: str
    duration_seconds: Annotated[float | None, Meta(description="Length of the song in seconds.")] = None
    offset_seconds: Annotated[
        float | None, Meta(description="How far into the song the sound at `position` is, in seconds.")
    ] = None
    position_seconds: Annotated[
        float, Meta(description="Where in the clip or file the song is first heard, in seconds; else 0.")
    ] = 0.0
    speed: Annotated[
        float | None,
        Meta(description="How many times faster than the song the sound is, such as 1.25; null where unknown."),
    ] = None
    pitch: Annotated[
        float | None,
        Meta(description="How much higher than the song the sound is, in semitones; null where unknown."),
    ] = None
    also: Annotated[
        tuple[str, ...],
        Meta(description="Ids of other tracks in the catalog with the same recording, which sound alike."),
    ] = ()
    artwork: Annotated[
        tuple[Artwork, ...], Meta(description="Its cover in up to three sizes, the largest first.")
    ] = ()
    preview: Annotated[
        str | None, Meta(description="The address of a sample of its sound on this server; null without one.")
    ] = None
    landmarks: Annotated[
        str | None,
        Meta(
            description="Up to 64 points of the sound that tell the song, base64url: of each, a byte says when it "
            "is in the sound, and another how high, both 0 to 255. Null where unknown."
        ),
    ] = None
    catalog: CatalogRef | None = None
    corrected: Annotated[
        bool, Meta(description="Whether the channel's owner or the operator has given its title and artists.")
    ] = False


def song_key(song: Song) -> tuple[str, ...]:
    """A key that two answers share when they name the same song: its ISRC, else its catalog id, else its text.

    What was corrected is a song of its own.
    """
    if song.corrected:
        return ("corrected", song.title.casefold(), *sorted(artist.casefold() for artist in song.artists))
    if song.isrc:
        return ("isrc", song.isrc.upper())
    if song.catalog is not None:
        return ("catalog", song.catalog.track_id)
    return ("text", song.title.casefold(), *sorted(artist.casefold() for artist in song.artists))


class Heard(StrEnum):
    """Where the sound of an answer was taken from."""

    NOW = "now"
    LIVE = "live"
    VIDEO = "video"
    CLIP = "clip"


@dataclass(frozen=True, slots=True, kw_only=True)
class BroadcastMoment:
    """The moment of a broadcast that an answer is about."""

    broadcast: Annotated[str | None, Meta(description="Twitch's number of the broadcast.")] = None
    seconds: Annotated[float | None, Meta(description="Seconds since the broadcast began.")] = None
    behind_live: Annotated[
        float | None, Meta(description="Of a live channel: how long before the question the moment was.")
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long each step took, in milliseconds; null for steps that did not run."""

    resolve_ms: float | None = None
    capture_ms: float | None = None
    fingerprint_ms: float | None = None
    recognize_ms: float | None = None
    total_ms: float | None = None


Moment = Annotated[datetime, Meta(tz=True)]


PROBABLE: Final = 0.85
"""Up to this score a song is shown as probable: providers give such scores to music under other sound."""

PROBABLY: Final = "Probably"
"""The word before such a song. The extension has its own, in each of its languages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identification:
    """A question and, once finished, its answer."""

    id: IdentificationId
    kind: Kind
    target: Annotated[
        str, Meta(description="The channel's login, the clip's slug, the video's number or the file's name.")
    ]
    at_seconds: Annotated[float | None, Meta(description="The moment in a video, seconds from its start.")] = None
    asked_at: Annotated[
        Moment | None, Meta(description="The earlier time of a live channel that was asked for; null: now.")
    ] = None
    asked_ago: Annotated[
        float | None,
        Meta(description="How many seconds before the live edge were asked for; null: a time, or now."),
    ] = None
    channel_id: Annotated[
        str | None,
        Meta(description="Twitch's number of a live channel, which a rename keeps; null until it is known."),
    ] = None
    channel: Annotated[
        str | None, Meta(description="Of a clip or video: the login of the channel it is from; null if unknown.")
    ] = None
    status: Status = Status.QUEUED
    stage: Stage = Stage.QUEUED
    created_at: Moment
    finished_at: Moment | None = None
    song: Annotated[Song | None, Meta(description="The best of `songs`; null unless successful.")] = None
    songs: Annotated[tuple[Song, ...], Meta(description="Every song found.")] = ()
    score: Annotated[
        float | None,
        Meta(
            description="How sure the song is, 0 to 1, alike for all recognizers; up to 0.85 it is probable. Null "
            "without a song, and for a corrected one."
        ),
    ] = None
    recognizer: str | None = None
    captured_seconds: Annotated[float | None, Meta(description="Length of the audio that was identified.")] = None
    captured_at: Annotated[Moment | None, Meta(description="When the captured sound was broadcast.")] = None
    captured_from_seconds: Annotated[
        float | None,
        Meta(description="Where it begins in a video, clip or file, in seconds; null for live streams."),
    ] = None
    place_uncertain: Annotated[
        bool,
        Meta(
            description="Whether `captured_from` and `moment` may be wrong, because lengths and timestamps of "
            "Twitch's contradict one another."
        ),
    ] = False
    moment: Annotated[
        BroadcastMoment | None, Meta(description="The moment that it is about; null where Twitch does not tell.")
    ] = None
    heard: Annotated[
        Heard | None,
        Meta(
            description="Where the sound was taken from: the live edge (`now`), the live stream before that "
            "(`live`), a VOD or a clip; null before it was, and for files."
        ),
    ] = None
    timings: Timings = Timings()
    problem: Annotated[Problem | None, Meta(description="Why it failed; null unless it did.")] = None
    disputed: bool = False
    """A listener reported the answer as wrong; known to stores only, not part of the JSON form."""

    @property
    def is_probable(self) -> bool:
        """Whether the song is to be shown as probable only."""
        return self.song is not None and self.score is not None and self.score <= PROBABLE

    def at_stage(self, stage: Stage) -> "Identification":
        """A copy at a later stage. Stages never go back, and a finished identification stays as it is."""
        order = list(Stage)
        if self.status.finished or order.index(stage) < order.index(self.stage):
            return self
        return dataclasses.replace(self, status=Status.RUNNING, stage=stage)

    def failed(self, problem: Problem, finished_at: datetime) -> "Identification":
        """A copy that is finished with a problem."""
        return dataclasses.replace(
            self, status=Status.FAILED, stage=Stage.DONE, finished_at=finished_at, problem=problem
        )


ABANDONED_AFTER: Final = timedelta(seconds=60)
"""More than a job's longest waiting and running time: an identification unfinished after it has lost its owner."""


def abandoned(identification: Identification, now: datetime) -> bool:
    """Whether the owner of an unfinished identification is gone, so that the next request starts a new job."""
    return not identification.status.finished and now - identification.created_at > ABANDONED_AFTER


_NOTABLE_SECONDS: Final = 2.0


def heard_elsewhere(identification: Identification) -> bool:
    """Whether the sound of an answer about a video ends well before the moment asked for, or begins well after it.

    That is so where the moment is muted, its sound is missing, or it is not recorded yet.
    """
    at, start = identification.at_seconds, identification.captured_from_seconds
    if identification.kind is not Kind.VIDEO or at is None or start is None:
        return False
    end = start + (identification.captured_seconds or 0.0)
    return at < start - _NOTABLE_SECONDS or at > end + _NOTABLE_SECONDS


NO_MATCH_REUSE: Final = timedelta(minutes=10)
"""How long a "no match" for a clip or video is reused; after that, music may have been added to the catalog."""


def seconds_ago(identification: Identification) -> float | None:
    """How long before the question the moment was that it is about; None when it is about what plays now."""
    if identification.asked_at is None:
        return None
    return max(0.0, (identification.created_at - identification.asked_at).total_seconds())


CLOCKS_AGREE: Final = timedelta(seconds=2)
"""How far the clocks of servers that share a database may be apart."""


def answer_age(identification: Identification, now: datetime) -> float:
    """How many seconds old an answer is: since its newest sound was captured if live, else since it was made.

    0 for an unfinished one, and when the clocks of two servers differ.
    """
    if identification.finished_at is None:
        return 0.0
    age = (now - identification.finished_at).total_seconds()
    if identification.kind is Kind.STREAM and identification.asked_at is None:
        timings = identification.timings
        age += ((timings.fingerprint_ms or 0.0) + (timings.recognize_ms or 0.0)) / 1000
    return max(0.0, age)


def is_fresh(identification: Identification, now: datetime, seconds: float) -> bool:
    """Whether an answer is at most so many seconds old. How old one is that comes later is not known."""
    ahead = identification.finished_at is not None and identification.finished_at - now > CLOCKS_AGREE
    return not ahead and answer_age(identification, now) <= seconds


def reusable(identification: Identification, now: datetime) -> bool:
    """Whether a stored answer is returned again instead of starting a job.

    A clip, a file, a moment in a video and an earlier moment of a broadcast never change, so their song is reused
    permanently, unless a listener disputed it. That of sound beside the moment is reused as briefly as a
    "no match", what a live stream plays now never.
    """
    if identification.kind is Kind.STREAM and identification.asked_at is None:
        return False
    if identification.finished_at is None:
        return False
    if identification.disputed:
        return False
    if identification.status is Status.SUCCESSFUL and not heard_elsewhere(identification):
        return True
    return (
        identification.status in (Status.SUCCESSFUL, Status.NO_MATCH)
        and now - identification.finished_at < NO_MATCH_REUSE
    )
