"""Where in a broadcast the sound of a job is, and what the broadcast's time line has of it already."""

import dataclasses
from datetime import datetime, timedelta
from typing import Final

from fingerprint.domain.broadcasts import (
    LIVE_EXACT_SECONDS,
    Broadcast,
    BroadcastPlace,
    clip_place,
    live_place,
    video_place,
)
from fingerprint.domain.identification import (
    BroadcastMoment,
    Heard,
    Identification,
    Stage,
    Status,
    reusable,
)
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.domain.targets import Target
from fingerprint.domain.time_line import TimeLine
from fingerprint.job_ports import HeardBefore
from fingerprint.ports import ClipSource, LiveSource, MediaSource, VideoSource
from fingerprint.takes import TakesSoFar

NEAR_SECONDS: Final = 600.0
"""How far before and after a moment the time line is read: a song's other answers are nearer than its length."""


async def answer_from_time_line(
    identification: Identification, target: Target, source: MediaSource, heard_before: HeardBefore
) -> Identification | None:
    """The answer, if the time line of the source's broadcast has it; without times.

    Not for a target whose stored answer was disputed or passed over by this question: another one is wanted then.
    """
    try:
        asked = _asked_place(await _in_its_broadcast(source, heard_before))
        if asked is None:
            return None
        spans = await heard_before.spans(asked.broadcast, asked.start - NEAR_SECONDS, asked.end + NEAR_SECONDS)
    except TwitchAudioError:
        return None  # the sound can still be captured
    found = TimeLine(spans).answer(asked)
    if found is None or found.song is None:
        return None
    try:
        stored = await heard_before.answer(target)
    except TwitchAudioError:
        return None
    if stored is not None and (stored.disputed or reusable(stored, identification.created_at)):
        return None
    return dataclasses.replace(
        identification,
        channel_id=source.channel_id if isinstance(source, LiveSource) else None,
        channel=channel_of(source),
        status=Status.SUCCESSFUL,
        stage=Stage.DONE,
        song=found.song,
        songs=(found.song,),
        score=found.score,
        recognizer=found.recognizer,
        moment=BroadcastMoment(
            broadcast=asked.broadcast,
            seconds=round(asked.start, 3),
            behind_live=_behind_edge(identification, source, source.at)
            if isinstance(source, LiveSource)
            else None,
        ),
        heard=Heard.LIVE if found.heard is Heard.NOW else found.heard,
    )


def channel_of(source: MediaSource) -> str | None:
    """The login of the channel that a video or clip is of; None elsewhere, and where Twitch does not tell."""
    return source.channel if isinstance(source, VideoSource | ClipSource) else None


async def _in_its_broadcast(source: MediaSource, heard_before: HeardBefore) -> MediaSource:
    """The source, of the broadcast before the present one where the moment lies before its start."""
    match source:
        case LiveSource(broadcast=Broadcast() as broadcast, at=datetime() as at) if broadcast.seconds_at(at) < 0:
            return dataclasses.replace(source, broadcast=await heard_before.broadcast_at(source.channel, at))
        case _:
            return source


def _asked_place(source: MediaSource) -> BroadcastPlace | None:
    """Where in a broadcast the sound is that is asked for; None where that is unknown, and for what plays now."""
    match source:
        case LiveSource(broadcast=Broadcast() as broadcast, at=datetime() as at):
            return live_place(broadcast, at)
        case VideoSource(broadcast=Broadcast() as broadcast):
            return video_place(broadcast, source.at_seconds)
        case ClipSource(
            broadcast=Broadcast() as broadcast,
            offset_seconds=float() as offset,
            duration_seconds=float() as seconds,
        ):
            return clip_place(broadcast, offset, 0.0, seconds)
        case _:
            return None


def moment_of(identification: Identification, source: MediaSource, heard: TakesSoFar) -> BroadcastMoment | None:
    """The moment of a broadcast at which captured sound begins; None for files, and where Twitch does not tell."""
    begun, seconds = heard.started_at, heard.recording.from_seconds or 0.0
    match source:
        case LiveSource():
            broadcast = heard.recording.broadcast or source.broadcast
            until = None if begun is None else begun + timedelta(seconds=heard.seconds)
            if broadcast is not None and begun is not None and broadcast.seconds_at(begun) < -LIVE_EXACT_SECONDS:
                broadcast = None  # the playlist still lists the end of the broadcast before
            return BroadcastMoment(
                broadcast=None if broadcast is None else broadcast.id,
                seconds=None if broadcast is None or begun is None else rounded(broadcast.seconds_at(begun)),
                behind_live=_behind_edge(identification, source, source.at or until),
            )
        case VideoSource(broadcast=Broadcast() as broadcast) if not heard.recording.after_break:
            at = identification.asked_at
            return BroadcastMoment(
                broadcast=broadcast.id, seconds=rounded(seconds), behind_live=_behind(identification, at)
            )
        case ClipSource(broadcast=Broadcast() as broadcast, offset_seconds=float() as offset):
            return BroadcastMoment(broadcast=broadcast.id, seconds=rounded(offset + seconds))
        case _:
            return None


def _behind_edge(identification: Identification, source: LiveSource, moment: datetime | None) -> float | None:
    return _behind(identification, moment) if source.behind is None else round(source.behind, 3)


def _behind(identification: Identification, moment: datetime | None) -> float | None:
    """How long before the question a moment was, in seconds."""
    if moment is None:
        return None
    return round(max(0.0, (identification.created_at - moment).total_seconds()), 3)


def rounded(seconds: float | None) -> float | None:
    """Seconds to the millisecond."""
    return None if seconds is None else round(seconds, 3)
