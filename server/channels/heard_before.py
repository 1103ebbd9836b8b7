"""What was heard of a broadcast before: in the answers, and in set lists of whole VODs."""

from collections.abc import Sequence
from datetime import datetime

from fingerprint.domain.broadcasts import Broadcast
from fingerprint.domain.identification import Identification
from fingerprint.domain.targets import Target
from fingerprint.domain.time_line import Span
from fingerprint.job_ports import HeardBefore
from server.channels.video_set_list_store import VideoSetListStore


class HeardInAnswersAndVideos:
    """The time lines that answers and set lists of VODs make together. Satisfies `HeardBefore`."""

    def __init__(self, answers: HeardBefore, set_lists: VideoSetListStore) -> None:
        self._answers = answers
        self._set_lists = set_lists

    async def spans(self, broadcast: str, start: float, end: float) -> Sequence[Span]:
        """What was heard between two seconds of a broadcast. Raises TwitchAudioError `busy`."""
        heard = await self._answers.spans(broadcast, start, end)
        return [*heard, *await self._set_lists.spans(broadcast, start, end)]

    async def broadcast_at(self, login: str, at: datetime) -> Broadcast | None:
        """The broadcast of a channel that was heard around a time. Raises TwitchAudioError `busy`."""
        return await self._answers.broadcast_at(login, at)

    async def answer(self, target: Target) -> Identification | None:
        """The newest finished answer for a target. Raises TwitchAudioError `busy`."""
        return await self._answers.answer(target)
