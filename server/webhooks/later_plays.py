"""Tells webhooks of plays that are known only later, since a catalog has grown."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.identification import Identification, Kind
from fingerprint.job_ports import JobStore
from server.identifications.set_list import LONGEST_GAP, plays
from server.owner_choices.choices import ChannelChoices, Visibility
from server.webhooks.messages import EventType, Webhook, play_message
from server.webhooks.shown_messages import is_operators
from server.webhooks.store import WebhookStore

ANSWERS: Final = 50
"""How many answers around one that was named are read to see whether its play was known before."""


async def store_later_play(
    store: WebhookStore, jobs: JobStore, given: Identification, choices: ChannelChoices, *, now: datetime
) -> bool:
    """Store the messages about an answer that has a song only now, if there are any, to be sent by the servers.

    `choices`: what is decided about its channel.

    An answer that belongs to a play which was known before is no news, nor one about an earlier moment, which no
    set list has. Raises TwitchAudioError `busy`.
    """
    answer = choices.shown(given)
    if answer.kind is not Kind.STREAM or answer.asked_at is not None or answer.song is None:
        return False
    told: Sequence[Webhook] = [
        each
        for each in await store.active()
        if each.is_of(answer.target, answer.channel_id) and EventType.LATER_PLAY in each.events
    ]
    if choices.visibility is not Visibility.SET_LIST:
        # It is not about what plays now.
        told = [each for each in told if is_operators(each)]
    if not told:
        return False
    length = timedelta(seconds=2 * (answer.song.duration_seconds or 0.0))
    around = answer.created_at + max(LONGEST_GAP, length)
    stored = await jobs.history(answer.target, limit=ANSWERS, before=around)
    found = plays(choices.shown(each) for each in stored)
    play = next((each for each in found if answer.id in each.answers), next(plays([answer])))
    if len(play.answers) > 1:
        return False
    messages = [(each, play_message(each, answer.target, play, EventType.LATER_PLAY)) for each in told]
    await store.add(messages, now=now)
    return True
