"""The JSON of set lists, whole VODs and songs; see `json_forms`."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct, to_builtins

from fingerprint.domain.identification import Song
from fingerprint.domain.tracklist import TracklistEntry
from fingerprint.wire import ProblemDetails, song_to_json, time_to_json
from server.api.json_forms import ProblemJson, SongJson, form_of
from server.api.json_times import Time, time_text
from server.api.set_list_files import NamedTracklist, hearing_link
from server.channels.video_set_list import SetListStatus, VideoSetList
from server.identifications.set_list import Play
from server.songs.hearings import Hearing


class PlayJson(Struct, kw_only=True):
    """One play of a song: consecutive answers that named it."""

    song: SongJson
    first_heard: Time
    last_heard: Time
    identifications: Annotated[list[str], Meta(description="Ids of the answers, newest first.")]
    probable: Annotated[bool, Meta(description="None of the answers was sure: show the song as probable.")]

    @classmethod
    def of(cls, play: Play, *, paths: bool) -> "PlayJson":
        return form_of(cls, play, song=song_to_json(play.song, paths=paths), identifications=play.answers)


class RemovedPlayJson(Struct, kw_only=True):
    """Plays that the channel's owner or the operator has hidden."""

    identifications: Annotated[list[str], Meta(description="Ids of their answers.")]


class SetListJson(Struct, kw_only=True):
    """What was heard on a channel, newest first."""

    channel: str
    plays: list[PlayJson]
    next_before: Annotated[Time | None, Meta(description="`before` of the next page; null at the end.")]

    @classmethod
    def of(
        cls, channel: str, plays: Iterable[Play], next_before: datetime | None, *, paths: bool
    ) -> "SetListJson":
        return cls(
            channel=channel,
            plays=[PlayJson.of(play, paths=paths) for play in plays],
            next_before=time_to_json(next_before),
        )


class HearingJson(Struct, kw_only=True):
    """When a song was heard on a live channel, or a clip or VOD that it was heard in."""

    kind: Literal["stream", "clip", "video"]
    target: Annotated[str, Meta(description="The channel's login, the clip's slug or the VOD's number.")]
    channel: Annotated[str | None, Meta(description="Whose it is; null if that is unknown.")]
    first_heard: Time
    last_heard: Time
    identification: Annotated[str, Meta(description="The id of the newest answer.")]
    broadcast: Annotated[str | None, Meta(description="Twitch's number of the broadcast, where it is known.")]
    at: Annotated[
        int | None,
        Meta(description="Where it was first heard: seconds of the broadcast, the clip or the VOD."),
    ]
    link: Annotated[
        str | None, Meta(description="The clip, or the VOD at this second, on Twitch; null for live channels.")
    ]
    corrected: Annotated[
        bool, Meta(description="Whether the channel's owner, or an operator, has named the song.")
    ]

    @classmethod
    def of(cls, hearing: Hearing) -> "HearingJson":
        return form_of(
            cls,
            hearing,
            identification=hearing.identification_id,
            at=hearing.at_seconds,
            link=hearing_link(hearing),
        )


class SongHistoryJson(Struct, kw_only=True):
    """A song, and where it was heard, newest first."""

    id: str
    song: SongJson
    heard: list[HearingJson]
    next_before: Annotated[Time | None, Meta(description="`before` of the next page; null at the end.")]

    @classmethod
    def of(
        cls, identifier: str, song: Song, heard: Iterable[Hearing], next_before: datetime | None, *, paths: bool
    ) -> "SongHistoryJson":
        return cls(
            id=identifier,
            song=song_to_json(song, paths=paths),
            heard=[HearingJson.of(each) for each in heard],
            next_before=time_to_json(next_before),
        )


class StretchJson(Struct, kw_only=True):
    """A part of a recording, in seconds from its start."""

    start: float
    end: float


class TracklistSongJson(Struct, kw_only=True):
    """A song of a whole VOD or file."""

    start: Annotated[float, Meta(description="Where it begins, in seconds from the recording's start.")]
    end: float
    offset: Annotated[float | None, Meta(description="How far into the song its start here is, in seconds.")]
    song: SongJson
    score: Annotated[float | None, Meta(description="How sure the song is, 0 to 1; null for a corrected one.")]
    recognizer: str | None
    heard: Annotated[
        Literal["live", "video"] | None,
        Meta(description="Whether it was heard while the broadcast was live, or in the VOD; null for files."),
    ]
    link: Annotated[str | None, Meta(description="The VOD on Twitch at this second; null for files.")]


class TracklistJson(Struct, kw_only=True):
    """The set list of a whole VOD or file, as far as it was listened to."""

    kind: Literal["video", "file"]
    target: Annotated[str, Meta(description="The VOD's number, or the file's name.")]
    status: SetListStatus
    progress: Annotated[float, Meta(ge=0, le=1, description="How much of it was listened to.")]
    position: Annotated[float, Meta(description="How far it was listened to, in seconds.")]
    duration: Annotated[float | None, Meta(description="Its length in seconds; null while it is unknown.")]
    captured_seconds: Annotated[float, Meta(description="Length of the sound that was listened to.")]
    songs: list[TracklistSongJson]
    muted: Annotated[list[StretchJson], Meta(description="Parts that Twitch muted.")]
    missing: Annotated[list[StretchJson], Meta(description="Parts whose sound could not be had.")]
    growing: Annotated[bool, Meta(description="Whether Twitch was still recording the VOD.")]
    created_at: Time | None = None
    finished_at: Time | None = None
    problem: ProblemJson | None = None

    @classmethod
    def of(cls, named: NamedTracklist, status: SetListStatus) -> "TracklistJson":
        """The form of a tracklist."""
        found = named.tracklist
        length = found.duration or 0.0
        done = status is SetListStatus.SUCCESSFUL
        return cls(
            kind="video" if named.kind == "video" else "file",
            target=named.target,
            status=status,
            progress=1.0 if done else round(min(1.0, found.position / length), 4) if length else 0.0,
            position=round(found.position, 3),
            duration=None if found.duration is None else round(found.duration, 3),
            captured_seconds=round(found.captured_seconds, 3),
            songs=[_tracklist_song(named, entry) for entry in found.songs],
            muted=[StretchJson(start=round(start, 3), end=round(end, 3)) for start, end in found.muted],
            missing=[StretchJson(start=round(start, 3), end=round(end, 3)) for start, end in found.missing],
            growing=found.growing,
        )

    @classmethod
    def of_video(cls, made: VideoSetList, *, paths: bool) -> "TracklistJson":
        """The form of a VOD's set list, without who made it, since anonymous callers may read it."""
        named = NamedTracklist(kind="video", target=made.video, tracklist=made.tracklist, paths=paths)
        form = cls.of(named, made.status)
        form.created_at = time_text(made.created_at)
        form.finished_at = time_to_json(made.finished_at)
        form.problem = None if made.problem is None else to_builtins(ProblemDetails.of(made.problem))
        return form


def _tracklist_song(named: NamedTracklist, entry: TracklistEntry) -> TracklistSongJson:
    heard: Literal["live", "video"] = "live" if entry.live else "video"
    return TracklistSongJson(
        start=round(entry.start, 3),
        end=round(entry.end, 3),
        offset=entry.song.offset_seconds,
        song=song_to_json(entry.song, paths=named.paths),
        score=None if entry.shown_score is None else round(entry.shown_score, 4),
        recognizer=entry.recognizer,
        heard=heard if named.kind == "video" else None,
        link=named.link(entry.start),
    )
