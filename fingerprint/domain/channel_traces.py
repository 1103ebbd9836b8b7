"""What answers about a channel, its clips and its VODs are known by, for deleting all of them."""

from dataclasses import dataclass
from datetime import datetime

from fingerprint.domain.identification import Identification, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedName:
    """A login that a channel had from `since` on, until another channel got it."""

    login: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelTraces:
    """A channel: Twitch's number of it where known, its logins, and clips and videos that are surely its own."""

    names: tuple[UsedName, ...]
    channel_id: str | None = None
    slugs: frozenset[str] = frozenset()
    videos: frozenset[str] = frozenset()

    @property
    def logins(self) -> tuple[str, ...]:
        """Every login, each once."""
        return tuple(dict.fromkeys(name.login for name in self.names))

    def include(self, answer: Identification) -> bool:
        """Whether an answer is about this channel, and not about another one that had the same login."""
        if None not in (answer.channel_id, self.channel_id):
            return answer.channel_id == self.channel_id
        if (answer.kind is Kind.CLIP and answer.target in self.slugs) or (
            answer.kind is Kind.VIDEO and answer.target in self.videos
        ):
            return True
        login = answer.target if answer.kind is Kind.STREAM else answer.channel
        return any(
            name.login == login
            and name.since <= answer.created_at
            and (name.until is None or answer.created_at < name.until)
            for name in self.names
        )
