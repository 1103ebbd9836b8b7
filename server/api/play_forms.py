"""The JSON of corrections and of what is public; see `json_forms`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from server.api.json_forms import form_of
from server.api.json_times import Time
from server.owner_choices.choices import Correction, Visibility


class PlayNames(Struct, kw_only=True, forbid_unknown_fields=True):
    """What a play is called. What is left out stays as it is."""

    title: Annotated[str, Meta(max_length=300, description="Empty or left out: as it is.")] = ""
    artists: Annotated[list[str] | None, Meta(description="Left out or null: as they are.")] = None


class RecognizedJson(Struct, kw_only=True):
    """What a play was recognized as."""

    title: str
    artists: list[str]


class RecordingJson(Struct, kw_only=True):
    """A clip, or a moment of a VOD."""

    kind: Literal["clip", "video"]
    target: Annotated[str, Meta(description="The clip's slug or the VOD's number.")]
    at: Annotated[int | None, Meta(description="The second of the VOD; null for clips.")]

    @classmethod
    def of(cls, recording: str | None) -> "RecordingJson | None":
        if recording is None:
            return None
        kind, target, *at = recording.split(":")
        return cls(kind="video" if kind == "video" else "clip", target=target, at=int(at[0]) if at else None)


class CorrectionJson(Struct, kw_only=True):
    """A play that is shown otherwise than it was recognized."""

    id: str
    hidden: Annotated[bool, Meta(description="The play is not shown.")]
    title: Annotated[str | None, Meta(description="Its title now; null when it is hidden.")]
    artists: list[str]
    recognized: RecognizedJson
    first_heard: Time
    last_heard: Time
    changed_at: Time
    recording: Annotated[
        RecordingJson | None, Meta(description="The clip or VOD whose answer was corrected; null for a play.")
    ]

    @classmethod
    def of(cls, correction: Correction) -> "CorrectionJson":
        return form_of(
            cls,
            correction,
            recognized=RecognizedJson(title=correction.was_title, artists=list(correction.was_artists)),
            first_heard=correction.time.since,
            last_heard=correction.time.until,
            recording=RecordingJson.of(correction.time.recording),
        )


class CorrectionsJson(Struct, kw_only=True):
    """The corrections of a channel."""

    corrections: Annotated[list[CorrectionJson], Meta(description="Of the newest plays first.")]


class VisibilityJson(Struct, kw_only=True, forbid_unknown_fields=True):
    """What of a channel is public."""

    public: Annotated[
        Visibility,
        Meta(description="The set list, only the song that is playing now, or nothing."),
    ]
