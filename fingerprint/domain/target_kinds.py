"""The kinds of target: a channel, a clip, a moment of a video, a file, a recording that was sent."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from fingerprint.domain.identification import Kind


@dataclass(frozen=True, slots=True)
class ChannelTarget:
    """A live channel, by its lower-case login: what it plays now, or what it played `at` an earlier time.

    `ago`: `at` is only our clock's word for so many seconds before what listeners hear now.
    """

    login: str
    at: datetime | None = None
    ago: float | None = field(default=None, compare=False)
    kind: ClassVar[Kind] = Kind.STREAM

    @property
    def name(self) -> str:
        """The target's name, as shown to users and stored."""
        return self.login

    @property
    def key(self) -> str:
        """A key that is equal for all requests for this target; earlier times are rounded to whole seconds.

        A moment and so long ago are never one target: where clocks differ, or a channel is broadcast with a delay,
        they are other sound.
        """
        if self.at is None:
            return f"stream:{self.login}"
        return f"stream:{self.login}{'@' if self.ago is None else '-'}{int(self.at.timestamp())}"


@dataclass(frozen=True, slots=True)
class ClipTarget:
    """A clip, by its case-sensitive slug. `channel` is the login in the address, if any: unverified."""

    slug: str
    channel: str | None = field(default=None, compare=False)
    kind: ClassVar[Kind] = Kind.CLIP

    @property
    def name(self) -> str:
        return self.slug

    @property
    def key(self) -> str:
        return f"clip:{self.slug}"


@dataclass(frozen=True, slots=True)
class VideoTarget:
    """A moment in a VOD, highlight or upload: its id and seconds from its start."""

    video_id: str
    at_seconds: float
    kind: ClassVar[Kind] = Kind.VIDEO

    @property
    def name(self) -> str:
        return self.video_id

    @property
    def key(self) -> str:
        """A key that is equal for all requests for this target; moments are rounded to whole seconds."""
        return f"video:{self.video_id}@{int(self.at_seconds)}"


@dataclass(frozen=True, slots=True)
class FileTarget:
    """An audio or video file on this machine; clients of the API can never name one."""

    path: Path
    kind: ClassVar[Kind] = Kind.FILE

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def key(self) -> str:
        """A key that distinguishes files."""
        return f"file:{self.path}"


@dataclass(frozen=True, slots=True)
class UploadTarget:
    """A recording that a client of the API has sent, by its SHA-256: the same for all who send the same one.

    `kept_by`: what keeps the file at `path` there, until it is not needed any more.
    """

    digest: str
    path: Path = field(default=Path(), compare=False)
    kept_by: object = field(default=None, compare=False, repr=False)
    kind: ClassVar[Kind] = Kind.FILE

    @property
    def name(self) -> str:
        return self.digest

    @property
    def key(self) -> str:
        """A key that is equal for all recordings with the same bytes."""
        return f"upload:{self.digest}"


TwitchTarget = ChannelTarget | ClipTarget | VideoTarget
AskedTarget = TwitchTarget | UploadTarget
"""What clients of the API can ask about."""

Target = AskedTarget | FileTarget
