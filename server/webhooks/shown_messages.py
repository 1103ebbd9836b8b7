"""Messages as they may be sent now, after what channels' owners have decided since they were stored."""

from typing import Any, Final

import msgspec

from fingerprint.domain.identification import IdentificationId
from fingerprint.wire import song_to_json, to_json
from server.identifications.service import IdentificationService
from server.owner_choices.choices import Visibility
from server.webhooks.messages import EventType, Message, Webhook

OPERATOR: Final = "user:"


def is_operators(webhook: Webhook) -> bool:
    """Whether an operator has set it up, who is told of what is not public as well."""
    return webhook.owner.startswith(OPERATOR)


async def shown_message(message: Message, webhook: Webhook, service: IdentificationService) -> Message | None:
    """The message as it may be sent; None when it tells of what is not shown. Raises TwitchAudioError `busy`."""
    body: dict[str, Any] = msgspec.json.decode(message.body)
    data, event = body["data"], body["type"]
    if event == EventType.TEST:
        return message
    is_play = event != EventType.IDENTIFICATION
    channel = data["channel"] if is_play else data["target"] if data["kind"] == "stream" else data["channel"]
    if data["song"] is None or channel is None:
        return message
    choices = await service.choices_of(channel)
    if is_play and choices.visibility is Visibility.NOTHING and not is_operators(webhook):
        return None
    about = IdentificationId(data["identifications"][-1] if is_play else data["id"])
    found = await service.find(about) if choices.corrections else None
    if found is None:
        return message
    shown = found.identification
    if shown.song is None:
        return None
    if is_play:
        data["song"] = song_to_json(shown.song, paths=False)
    else:
        data = to_json(shown, paths=False)
    return Message(id=message.id, body=msgspec.json.encode({**body, "data": data}))
