"""Converts values to DynamoDB items and back, without I/O.

A job's item has the original service's attributes and, besides them:

    Kind, Target, AtSeconds,    what was asked for
    AskedAt
    Stage, StageNumber          the job's progress; the number so that a condition can compare
    Fence                       the fencing token of the lease that may write it
    FinishedAt, Answer          once finished: when, and the whole identification as JSON (sets have no order)
    Seat                        the `Id` of the target's seat
    DoubtedAt                   when a listener said that the answer is wrong
    ExpiresAt                   when it may be deleted, seconds since 1970

A stretch of a broadcast's time line has, under `broadcast#NUMBER#N` (its N-th `STRETCH_SECONDS`):

    Heard                       the answers whose sound begins there, each as JSON, at most `MAX_IN_STRETCH`
    ExpiresAt                   as above

A seat says which server may work on a target:

    Kind, Target, AtSeconds     the target
    Fence, Owner, LeaseUntil    the lease: microseconds since 1970, 0 when it is free
    ClaimToken                  of the last claim, so that a server that sent it twice recognizes it
    JobId, JobCreatedAt, Done   the job; Done once it has ended
    AnswerId, Answer            the newest answer: of a stream its id, of a clip or video all of it
    DoubtedAt, ExpiresAt        as above
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from fingerprint.domain.identification import (
    ExternalIds,
    Identification,
    IdentificationId,
    Kind,
    Song,
    Stage,
    Status,
    Timings,
)
from fingerprint.domain.targets import ChannelTarget, Target, VideoTarget
from fingerprint.domain.text import clean_text
from fingerprint.job_ports import MAX_LEASE_AHEAD_SECONDS
from fingerprint.jobs.dynamodb.client import Item
from fingerprint.wire import from_json, time_from_json, time_to_json, to_json

SEAT: Final = "target#"
STRETCH: Final = "broadcast#"
STRETCH_SECONDS: Final = 300.0
MAX_IN_STRETCH: Final = 150
STAGES: Final = tuple(Stage)
_KEY_LIMIT: Final = 200
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Converts an aware datetime to whole microseconds since 1970 (UTC)."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(microseconds: int) -> datetime:
    """Converts microseconds since 1970 to an aware datetime in UTC; the inverse of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def text(value: str) -> Item:
    """A DynamoDB string attribute."""
    return {"S": value}


def number(value: float) -> Item:
    """A DynamoDB number attribute."""
    return {"N": repr(value)}


def moment(value: datetime) -> Item:
    """A time as a string attribute that sorts chronologically."""
    written = time_to_json(value)
    assert written is not None, "a time is written as text"
    return {"S": written}


def seat_key(target: Target) -> str:
    """The `Id` of a target's seat: readable, or a hash where the target is long or has unusual characters."""
    key = target.key
    if len(key) <= _KEY_LIMIT and key.isprintable():
        return f"{SEAT}{key}"
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{SEAT}{target.kind}:sha256:{digest}"


def target_name(target: Target) -> str:
    """The value of `ChannelId` or `ClipId`: the login, the slug, or either with the moment that is asked for."""
    named = target.kind is Kind.CLIP or (isinstance(target, ChannelTarget) and target.at is None)
    return clean_text(target.name if named else target.key) or "-"


def stage_number(stage: Stage) -> int:
    """The stage's index in `STAGES`."""
    return STAGES.index(stage)


def answer_text(identification: Identification) -> str:
    """The whole identification as JSON text."""
    return json.dumps(to_json(identification), separators=(",", ":"), allow_nan=False)


def question(target: Target) -> Item:
    """The attributes with which jobs and seats describe their target."""
    found = {"Kind": text(target.kind), "Target": text(clean_text(target.name) or "-")}
    if isinstance(target, VideoTarget):
        found["AtSeconds"] = number(target.at_seconds)
    if isinstance(target, ChannelTarget) and target.at is not None:
        found["AskedAt"] = moment(target.at)
        if target.ago is not None:
            found["AskedAgo"] = number(target.ago)
    return found


def stretch_keys(broadcast: str, start: float, end: float) -> list[str]:
    """The `Id`s of the stretches of a broadcast that hold what begins between two seconds."""
    first, last = (math.floor(max(0.0, seconds) / STRETCH_SECONDS) for seconds in (start, end))
    return [f"{STRETCH}{broadcast}#{number}" for number in range(first, last + 1)]


def broadcast_of(stretch_key: str) -> str:
    """The broadcast that a stretch is of, by its `Id`."""
    return stretch_key.removeprefix(STRETCH).rpartition("#")[0]


def heard_text(answer: Identification) -> str:
    """An answer as a stretch has it: without what a time line does not need."""
    return answer_text(replace(answer, songs=answer.songs[:1], timings=Timings()))


def heard_of(item: Mapping[str, Any] | None) -> list[Identification]:
    """The answers in a stretch."""
    return [] if item is None else [from_json(json.loads(each)) for each in item.get("Heard", {}).get("SS", ())]


def song_attributes(song: Song | None) -> Item:
    """The song in the original service's attributes. Empty ones are left out: DynamoDB refuses empty sets."""
    if song is None:
        return {}
    attributes = {
        "Title": _text(song.title),
        "Album": _text(song.album),
        "Artists": _set(song.artists),
        "Label": _text(song.label),
        "SpotifyTrackingId": _text(song.ids.spotify_track),
        "SpotifyArtistsId": _set(song.ids.spotify_artists),
        "YouTubeId": _text(song.ids.youtube),
        "DeezerTrackId": _text(song.ids.deezer_track),
        "DeezerArtistsIds": _set(song.ids.deezer_artists),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _text(value: str | None) -> Item | None:
    return {"S": value} if value else None


def _set(values: Iterable[str]) -> Item | None:
    members = sorted({value for value in values if value})
    return {"SS": members} if members else None


def finished_attributes(answer: Identification) -> Item:
    """The attributes that are written when a job finishes."""
    assert answer.finished_at is not None, "it is finished"
    return {
        "Status": text(answer.status),
        "Stage": text(answer.stage),
        "StageNumber": number(stage_number(answer.stage)),
        "FinishedAt": moment(answer.finished_at),
        "Answer": text(answer_text(answer)),
        **song_attributes(answer.song),
    }


def expired(item: Mapping[str, Any], now: datetime) -> bool:
    """Whether the item has expired, though DynamoDB has not deleted it yet."""
    until = item.get("ExpiresAt")
    return until is not None and int(until["N"]) <= now.timestamp()


def identification_of(item: Mapping[str, Any], *, kind: Kind) -> Identification | None:
    """The identification in a job's item, or None for an item of another sort.

    `kind` is the kind of the table's targets, for items of the original service, which do not store it.
    """
    if "CreatedAt" not in item or "Status" not in item:
        return None
    if "Answer" in item:
        return replace(from_json(json.loads(item["Answer"]["S"])), disputed="DoubtedAt" in item)
    kind = Kind(_string(item, "Kind") or kind)
    created_at = time_from_json(item["CreatedAt"]["S"])
    assert created_at is not None, "it is there"
    target = _string(item, "Target") or _string(item, "ChannelId") or _string(item, "ClipId") or ""
    status = Status(item["Status"]["S"].lower())
    song = _song(item) if status is Status.SUCCESSFUL else None
    return Identification(
        id=IdentificationId(item["Id"]["S"]),
        kind=kind,
        target=target,
        at_seconds=_number(item, "AtSeconds"),
        asked_at=time_from_json(_string(item, "AskedAt")),
        asked_ago=_number(item, "AskedAgo"),
        created_at=created_at,
        status=status,
        stage=Stage(_string(item, "Stage") or (Stage.DONE if status.finished else Stage.QUEUED)),
        finished_at=time_from_json(_string(item, "FinishedAt")) or (created_at if status.finished else None),
        song=song,
        songs=() if song is None else (song,),
    )


def _string(item: Mapping[str, Any], name: str) -> str | None:
    return item[name]["S"] if name in item else None


def _number(item: Mapping[str, Any], name: str) -> float | None:
    return float(item[name]["N"]) if name in item else None


def _strings(item: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(sorted(item[name]["SS"])) if name in item else ()


def _song(item: Mapping[str, Any]) -> Song:
    return Song(
        title=_string(item, "Title") or "(untitled)",
        artists=_strings(item, "Artists"),
        album=_string(item, "Album"),
        label=_string(item, "Label"),
        ids=ExternalIds(
            spotify_track=_string(item, "SpotifyTrackingId"),
            spotify_artists=_strings(item, "SpotifyArtistsId"),
            youtube=_string(item, "YouTubeId"),
            deezer_track=_string(item, "DeezerTrackId"),
            deezer_artists=_strings(item, "DeezerArtistsIds"),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """Which server may work on a target, and the target's newest answer."""

    fence: int
    owner: str
    lease_until: datetime
    claim_token: str
    done: bool
    left: Identification
    """The job as it was when it began."""
    answer: Identification | None
    answer_id: IdentificationId | None

    def held(self, now: datetime) -> bool:
        """Whether its lease is not over."""
        return now < self.lease_until <= now + timedelta(seconds=MAX_LEASE_AHEAD_SECONDS)

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> "Seat":
        """Parses the attributes of a seat's item."""
        created_at = time_from_json(item["JobCreatedAt"]["S"])
        assert created_at is not None, "it is there"
        return cls(
            fence=int(item["Fence"]["N"]),
            owner=item["Owner"]["S"],
            lease_until=from_us(int(item["LeaseUntil"]["N"])),
            claim_token=item["ClaimToken"]["S"],
            done=item["Done"]["BOOL"],
            left=Identification(
                id=IdentificationId(item["JobId"]["S"]),
                kind=Kind(item["Kind"]["S"]),
                target=item["Target"]["S"],
                at_seconds=_number(item, "AtSeconds"),
                asked_at=time_from_json(_string(item, "AskedAt")),
                asked_ago=_number(item, "AskedAgo"),
                created_at=created_at,
            ),
            answer=replace(from_json(json.loads(item["Answer"]["S"])), disputed="DoubtedAt" in item)
            if "Answer" in item
            else None,
            answer_id=IdentificationId(item["AnswerId"]["S"]) if "AnswerId" in item else None,
        )
