"""Webhooks as values, and their messages: signed as Standard Webhooks says (standardwebhooks.com)."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from fingerprint.domain.identification import Identification
from fingerprint.setting_formats import Secret
from fingerprint.wire import song_to_json, time_to_json, to_json
from server.identifications.set_list import Play

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - what every secret begins with
SECRET_BYTES: Final = 32


class EventType(StrEnum):
    """What a webhook may be told of."""

    PLAY = "play.started"
    LATER_PLAY = "play.updated"
    IDENTIFICATION = "identification.finished"
    TEST = "webhook.test"


CHOSEN: Final = (EventType.PLAY, EventType.LATER_PLAY, EventType.IDENTIFICATION)
"""Events that a webhook can choose; a test is sent when it is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """An address that is told of events. `disabled`: why it is not any more."""

    id: str
    owner: str
    url: str
    events: tuple[EventType, ...]
    channels: tuple[str, ...]
    secret: Secret
    created_at: datetime
    channel_ids: tuple[str | None, ...] = ()
    """The id of each of `channels`, where Twitch has named it."""

    disabled: str | None = None
    failing_since: datetime | None = None
    last_delivery_at: datetime | None = None
    last_error: str | None = None

    def is_of(self, login: str, channel_id: str | None) -> bool:
        """Whether it is told of the plays of a channel, which another one may have had the login of."""
        named = zip(self.channels, self.channel_ids or (None,) * len(self.channels), strict=True)
        return any(
            (login == channel and None in (known, channel_id)) or (known is not None and known == channel_id)
            for channel, known in named
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is sent: its id, which is the same each time that it is tried, and its body."""

    id: str
    body: bytes


def new_secret() -> Secret:
    """A new secret for signing: `whsec_` and 32 random bytes."""
    return Secret(SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode())


def headers_of(message: Message, secret: Secret, now: datetime) -> Mapping[str, str]:
    """The three headers of a message that is sent now; the signature covers id, time and body."""
    timestamp = str(int(now.timestamp()))
    key = base64.b64decode(secret.reveal().removeprefix(SECRET_PREFIX))
    signed = b"%b.%b.%b" % (message.id.encode(), timestamp.encode(), message.body)
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message.id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{signature}",
    }


def identification_message(webhook: Webhook, answer: Identification) -> Message:
    """Tells of a finished identification."""
    return _message(webhook, EventType.IDENTIFICATION, answer.id, answer.finished_at, to_json(answer, paths=False))


def play_message(webhook: Webhook, channel: str, play: Play, event: EventType = EventType.PLAY) -> Message:
    """Tells that a song has begun to be heard on a channel, or with another `event`, what it says of a play."""
    data = {
        "channel": channel,
        "song": song_to_json(play.song, paths=False),
        "first_heard": time_to_json(play.first_heard),
        "last_heard": time_to_json(play.last_heard),
        "identifications": list(play.answers),
        "probable": play.probable,
    }
    return _message(webhook, event, play.answers[-1], play.first_heard, data)


def trial_message(webhook: Webhook, now: datetime) -> Message:
    """A message that shows whether the address takes messages."""
    return _message(webhook, EventType.TEST, secrets.token_urlsafe(16), now, {"webhook": webhook.id})


def channel_of(message: Message) -> str | None:
    """The login of the channel that a message is about; None when it names none."""
    data: dict[str, Any] = msgspec.json.decode(message.body)["data"]
    channel = data.get("target") if data.get("kind") == "stream" else data.get("channel")
    return channel if isinstance(channel, str) else None


def _message(webhook: Webhook, event: EventType, about: str, moment: datetime | None, data: Any) -> Message:
    # The same event has the same id on every server, so that it is sent once.
    digest = hashlib.sha256(f"{webhook.id} {event} {about}".encode()).hexdigest()
    body = {"type": str(event), "timestamp": time_to_json(moment), "data": data}
    return Message(id=f"msg_{digest[:32]}", body=msgspec.json.encode(body))
