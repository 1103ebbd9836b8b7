"""What can be identified, and how people write it."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from fingerprint.domain.identification import Kind


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """A live channel, by its lower-case login."""

    login: str
    kind: ClassVar[Kind] = Kind.STREAM

    @property
    def name(self) -> str:
        """How the target is shown and stored."""
        return self.login

    @property
    def key(self) -> str:
        """What is the same for everyone who asks for this target."""
        return f"stream:{self.login}"


@dataclass(frozen=True, slots=True)
class ClipTarget:
    """A clip, by its case-sensitive slug."""

    slug: str
    kind: ClassVar[Kind] = Kind.CLIP

    @property
    def name(self) -> str:
        """How the target is shown and stored."""
        return self.slug

    @property
    def key(self) -> str:
        """What is the same for everyone who asks for this target."""
        return f"clip:{self.slug}"


@dataclass(frozen=True, slots=True)
class VideoTarget:
    """A moment in a VOD, highlight or upload: its id and seconds from its start."""

    video_id: str
    at_seconds: float
    kind: ClassVar[Kind] = Kind.VIDEO

    @property
    def name(self) -> str:
        """How the target is shown and stored."""
        return self.video_id

    @property
    def key(self) -> str:
        """What is the same for everyone who asks for this target; a moment counts by the second."""
        return f"video:{self.video_id}@{int(self.at_seconds)}"


@dataclass(frozen=True, slots=True)
class FileTarget:
    """An audio or video file on this machine; never something that a client of the API can name."""

    path: Path
    kind: ClassVar[Kind] = Kind.FILE

    @property
    def name(self) -> str:
        """How the target is shown."""
        return str(self.path)

    @property
    def key(self) -> str:
        """What tells files apart."""
        return f"file:{self.path}"


TwitchTarget = ChannelTarget | ClipTarget | VideoTarget
Target = TwitchTarget | FileTarget
