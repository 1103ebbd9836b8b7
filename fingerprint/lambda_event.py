"""The event that asks a Lambda function for one identification: written by a server, read by the handler.

    {"JobId": "...", "Type": "stream|clip|video", "Identifier": "...",
     "Extra": {"At": 61.5, "AskedAt": "2026-03-01T11:59:00Z", "Ago": 60.0, "Deadline": "2026-03-01T12:00:30Z",
               "Lease": {"TargetKey": "...", "Owner": "...", "Fence": 7, "ExpiresAt": "..."},
               "Recognizers": ["catalog", "audd"], "Budgets": "audd=10/day"}}

`Extra` and each of its members may be missing: without a lease the function claims the target itself.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, ValidationError, convert, to_builtins

from fingerprint.domain.budgets import Budgets, budgets_text, parse_budgets
from fingerprint.domain.identification import IdentificationId, Moment
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.recognizer_override import RecognizerOverride
from fingerprint.domain.targets import (
    ChannelTarget,
    TwitchTarget,
    VideoTarget,
    channel_target,
    clip_target,
    video_target,
)
from fingerprint.job_ports import Lease
from fingerprint.wire import Json


class InvalidEventError(ValueError):
    """An event that describes no job; the text says what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """One identification to run. After `deadline` its answer is no longer needed.

    `chosen`: what an operator chose in place of the function's settings.
    """

    job_id: IdentificationId
    target: TwitchTarget
    deadline: datetime | None = None
    lease: Lease | None = None
    chosen: RecognizerOverride = field(default_factory=RecognizerOverride)


class _LeaseJson(Struct, rename="pascal", kw_only=True):
    target_key: str
    owner: str
    fence: int
    expires_at: Moment


class _ExtraJson(Struct, rename="pascal", kw_only=True, omit_defaults=True):
    at: float | None = None
    asked_at: Moment | None = None
    ago: float | None = None
    deadline: Moment | None = None
    lease: _LeaseJson | None = None
    recognizers: tuple[str, ...] | None = None
    budgets: str | None = None


class _EventJson(Struct, rename="pascal", kw_only=True):
    job_id: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.:-]{1,128}\Z")]
    type: Literal["stream", "clip", "video"]
    identifier: str
    extra: _ExtraJson | None = None


def event_to_json(event: JobEvent) -> Json:
    """The event in the JSON form in which it is sent."""
    lease = event.lease
    return to_builtins(
        {
            "JobId": event.job_id,
            "Type": event.target.kind,
            "Identifier": event.target.name,
            "Extra": _ExtraJson(
                at=event.target.at_seconds if isinstance(event.target, VideoTarget) else None,
                asked_at=event.target.at if isinstance(event.target, ChannelTarget) else None,
                ago=event.target.ago if isinstance(event.target, ChannelTarget) else None,
                deadline=event.deadline,
                lease=None
                if lease is None
                else _LeaseJson(
                    target_key=lease.target_key,
                    owner=lease.owner,
                    fence=lease.fence,
                    expires_at=lease.expires_at,
                ),
                recognizers=event.chosen.order,
                budgets=None if event.chosen.budgets is None else budgets_text(event.chosen.budgets),
            ),
        }
    )


def event_from_json(event: object) -> JobEvent:
    """Parses an event: a JSON object, or a text that contains one. Raises InvalidEventError."""
    try:
        body = convert(json.loads(event) if isinstance(event, str) else event, _EventJson)
    except ValidationError as error:
        raise InvalidEventError(f"the event is not of its form: {error}") from error
    except ValueError as error:
        raise InvalidEventError("the event is text that is not JSON") from error
    job_id, extra = IdentificationId(body.job_id), body.extra or _ExtraJson()
    lease = extra.lease
    return JobEvent(
        job_id=job_id,
        target=_target(body, extra),
        deadline=None if extra.deadline is None else extra.deadline.astimezone(UTC),
        lease=None
        if lease is None
        else Lease(
            identification_id=job_id,
            target_key=lease.target_key,
            owner=lease.owner,
            fence=lease.fence,
            expires_at=lease.expires_at.astimezone(UTC),
        ),
        chosen=RecognizerOverride(order=extra.recognizers or None, budgets=_budgets(extra.budgets)),
    )


def _budgets(text: str | None) -> Budgets | None:
    try:
        return None if text is None else parse_budgets(text)
    except ValueError as error:
        raise InvalidEventError("Budgets: they are not of the form audd=10/day") from error


def _target(body: _EventJson, extra: _ExtraJson) -> TwitchTarget:
    try:
        match body.type:
            case "stream":
                at = None if extra.asked_at is None else extra.asked_at.astimezone(UTC)
                return replace(channel_target(body.identifier), at=at, ago=None if at is None else extra.ago)
            case "clip":
                return clip_target(body.identifier)
            case "video":
                return video_target(body.identifier, extra.at or 0.0)
    except TwitchAudioError as error:
        raise InvalidEventError(f"Identifier: {error.detail}") from error
