"""The event that asks a Lambda function for one identification: written by a server, read by the handler.

    {"JobId": "...", "Type": "stream|clip|video", "Identifier": "...",
     "Extra": {"At": 61.5, "Deadline": "2026-03-01T12:00:30Z",
               "Lease": {"TargetKey": "...", "Owner": "...", "Fence": 7, "ExpiresAt": "..."}}}

`Extra` and everything in it may be missing: without a lease the function claims the target itself.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from fingerprint.domain.identification import IdentificationId, Kind
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import TwitchTarget, VideoTarget, channel_target, clip_target, video_target
from fingerprint.ports import Lease
from fingerprint.wire import Json, time_from_json, time_to_json

_JOB_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}", re.ASCII)
_TYPES: Final = (Kind.STREAM, Kind.CLIP, Kind.VIDEO)


class InvalidEventError(ValueError):
    """An event that says no job; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One identification to do. After `deadline` nobody waits for it any more."""

    job_id: IdentificationId
    target: TwitchTarget
    deadline: datetime | None = None
    lease: Lease | None = None


def event_to_json(event: JobEvent) -> Json:
    """The event as it is sent."""
    extra: Json = {}
    if isinstance(event.target, VideoTarget):
        extra["At"] = event.target.at_seconds
    if event.deadline is not None:
        extra["Deadline"] = time_to_json(event.deadline)
    if event.lease is not None:
        extra["Lease"] = {
            "TargetKey": event.lease.target_key,
            "Owner": event.lease.owner,
            "Fence": event.lease.fence,
            "ExpiresAt": time_to_json(event.lease.expires_at),
        }
    return {
        "JobId": event.job_id,
        "Type": str(event.target.kind),
        "Identifier": event.target.name,
        "Extra": extra,
    }


def event_from_json(event: object) -> JobEvent:
    """The event as it came: a JSON object, or a text that holds one. Raises InvalidEventError."""
    if isinstance(event, str):
        try:
            event = cast("object", json.loads(event))
        except ValueError as error:
            raise InvalidEventError("the event is a text that is no JSON") from error
    body = _object(event, "the event")
    job_id, kind = body.get("JobId"), body.get("Type")
    if not isinstance(job_id, str) or _JOB_ID.fullmatch(job_id) is None:
        raise InvalidEventError("JobId has to be 1 to 128 letters, digits and _.:-")
    if kind not in _TYPES:
        raise InvalidEventError("Type has to be stream, clip or video")
    extra = _object(body.get("Extra") or {}, "Extra")
    identification_id = IdentificationId(job_id)
    return JobEvent(
        job_id=identification_id,
        target=_target(Kind(kind), body.get("Identifier"), extra.get("At")),
        deadline=_time(extra.get("Deadline"), "Deadline"),
        lease=_lease(extra.get("Lease"), identification_id),
    )


def _object(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InvalidEventError(f"{name} has to be a JSON object")
    return cast("Mapping[str, Any]", value)


def _time(value: object, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        if isinstance(value, str):
            return time_from_json(value)
    except (ValueError, OverflowError):
        pass
    raise InvalidEventError(f"{name} has to be a time such as 2026-03-01T12:00:00Z")


def _target(kind: Kind, identifier: object, at: object) -> TwitchTarget:
    if not isinstance(identifier, str):
        raise InvalidEventError("Identifier has to be a text")
    if at is not None and (isinstance(at, bool) or not isinstance(at, int | float)):
        raise InvalidEventError("Extra.At has to be a number of seconds")
    try:
        match kind:
            case Kind.STREAM:
                return channel_target(identifier)
            case Kind.CLIP:
                return clip_target(identifier)
            case _:
                return video_target(identifier, float(at or 0.0))
    except TwitchAudioError as error:
        raise InvalidEventError(f"Identifier: {error.detail}") from error


def _lease(value: object, job_id: IdentificationId) -> Lease | None:
    if value is None:
        return None
    body = _object(value, "Extra.Lease")
    key, owner, fence = body.get("TargetKey"), body.get("Owner"), body.get("Fence")
    expires_at = _time(body.get("ExpiresAt"), "Extra.Lease.ExpiresAt")
    if not isinstance(key, str) or not isinstance(owner, str) or not isinstance(fence, int) or expires_at is None:
        raise InvalidEventError("Extra.Lease has to name TargetKey, Owner, Fence and ExpiresAt")
    return Lease(identification_id=job_id, target_key=key, owner=owner, fence=fence, expires_at=expires_at)
