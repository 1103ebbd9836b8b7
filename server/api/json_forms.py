"""The JSON of the API's requests and answers, each form once: msgspec writes and checks it, and describes it for
the OpenAPI document. The Identification's own form is in `fingerprint.wire`.

A class is listed in the document under its name without `Json`.
"""

from datetime import datetime
from typing import Annotated, Final, Self, TypeVar

from msgspec import Meta, Struct

from fingerprint.domain.problems import invalid_input
from fingerprint.domain.targets import (
    MAX_AGO_SECONDS,
    MAX_AT_SECONDS,
    TwitchTarget,
    ago_target,
    channel_target,
    clip_target,
    moment_target,
    url_target,
    video_target,
)
from fingerprint.wire import Json, time_to_json
from server.access.rules.policy import Refusal
from server.access.rules.website import AccessMode
from server.api.json_times import Time, moment_from
from server.channels.reports import NOTE_LIMIT, Reason
from server.channels.song_tokens import SongToken
from server.channels.watch import Watch, WatchState
from server.channels.watch_terms import BUDGET, BUDGET_MOST, EVERY_LEAST, EVERY_MOST, EVERY_SECONDS

SongJson = Annotated[Json, Meta(extra_json_schema={"$ref": "#/components/schemas/Song"})]
ProblemJson = Annotated[Json, Meta(extra_json_schema={"$ref": "#/components/schemas/Problem"})]
Count = Annotated[int, Meta(ge=0)]

F = TypeVar("F", bound=Struct)


def form_of(form: type[F], record: object, /, **more: object) -> F:
    """The form of a record: each member is in `more`, or is the attribute of the same name."""

    def member(name: str) -> object:
        value = more[name] if name in more else getattr(record, name)
        return time_to_json(value) if isinstance(value, datetime) else value

    return form(**{name: member(name) for name in form.__struct_fields__})


# --- What clients send ----------------------------------------------------------------------------------


class RequestBody(Struct, kw_only=True, forbid_unknown_fields=True):
    """A JSON object with these members and no others."""


class ChannelQuestion(RequestBody):
    """What is playing on a live channel."""

    channel: Annotated[str, Meta(description="A live channel's name, or its address.", examples=["monstercat"])]

    def target(self, _now: datetime) -> TwitchTarget:
        """The target to identify, at a time. Raises TwitchAudioError `invalid-input`, as each question does."""
        return channel_target(self.channel)


class AgoQuestion(RequestBody):
    """What a live channel played a while ago."""

    channel: str
    ago: Annotated[float, Meta(ge=0, le=MAX_AGO_SECONDS, description="Seconds ago.", examples=[90])]

    def target(self, now: datetime) -> TwitchTarget:
        return ago_target(self.channel, ago_seconds=self.ago, now=now)


class MomentQuestion(RequestBody):
    """What a live channel played at a moment of its broadcast."""

    channel: str
    at: Annotated[Time, Meta(description="The moment, with its offset from UTC.")]

    def target(self, now: datetime) -> TwitchTarget:
        """The target to identify. Raises TwitchAudioError `invalid-input`, `moment-gone`."""
        moment = moment_from(self.at)
        if moment is None:
            raise invalid_input('Of a channel, "at" has to be a time such as 2026-03-01T12:00:00Z.')
        return moment_target(self.channel, at=moment, now=now)


class ClipQuestion(RequestBody):
    """What is playing in a clip."""

    clip: Annotated[str, Meta(description="A clip's slug, whose case counts, or its address.")]

    def target(self, _now: datetime) -> TwitchTarget:
        return clip_target(self.clip)


class VideoQuestion(RequestBody):
    """What is playing at a moment of a VOD."""

    video: Annotated[str, Meta(description="A VOD's number, or its address.", examples=["1234567890"])]
    at: Annotated[
        float,
        Meta(ge=0, le=MAX_AT_SECONDS, description="Seconds from its start; of a channel, an RFC 3339 time."),
    ] = 0.0

    def target(self, _now: datetime) -> TwitchTarget:
        return video_target(self.video, self.at)


class UrlQuestion(RequestBody):
    """What is playing at an address of a channel, clip or video."""

    url: Annotated[str, Meta(description="Any address of a channel, clip or video on Twitch.")]

    def target(self, _now: datetime) -> TwitchTarget:
        return url_target(self.url)


Question = ChannelQuestion | AgoQuestion | ClipQuestion | VideoQuestion | UrlQuestion | MomentQuestion
QUESTIONS: Final = (ChannelQuestion, AgoQuestion, ClipQuestion, VideoQuestion, UrlQuestion, MomentQuestion)


class ReportJson(RequestBody):
    """A report that says what is wrong with an answer."""

    reason: Reason
    note: Annotated[str, Meta(max_length=NOTE_LIMIT, description="For the operator.")] = ""


class WatchTerms(RequestBody):
    """How often a channel is identified, and how many times at most."""

    every: Annotated[
        int,
        Meta(ge=EVERY_LEAST, le=EVERY_MOST, description="Seconds from one identification to the next."),
    ] = EVERY_SECONDS
    budget: Annotated[int, Meta(ge=1, le=BUDGET_MOST, description="Identifications until the watch ends.")] = (
        BUDGET
    )


class SongTokenWish(RequestBody):
    """A request for a chat bot's token, with a note for the channel's owner."""

    note: str = ""


class AccessCodeJson(RequestBody):
    """An access code that the operator gave out."""

    code: str


# --- What they get --------------------------------------------------------------------------------------


class SongTokenJson(Struct, kw_only=True):
    """A token for `song.txt`, without its text."""

    id: str
    channel: str
    note: str
    created_at: Time
    revoked_at: Time | None
    used_at: Annotated[Time | None, Meta(description="Its last use, to the minute.")]

    @classmethod
    def of(cls, made: SongToken, **more: str) -> Self:
        """The form of a token; `more` are the members of subclasses."""
        return form_of(cls, made, **more)


class NewSongTokenJson(SongTokenJson, kw_only=True):
    """A token that was just made, with its text."""

    token: Annotated[str, Meta(description="The token itself. It is shown only once.")]


class SongTokensJson(Struct, kw_only=True):
    """All tokens of a channel, without their texts."""

    tokens: list[SongTokenJson]


class WatchJson(Struct, kw_only=True):
    """A channel that is identified at an interval while it is live."""

    channel: str
    state: WatchState
    reason: Annotated[
        str | None,
        Meta(
            description="Why it ended: `stream-ended`, `budget-used`, `stopped`, `key-invalid`, `forbidden` "
            "(an owner's watch that the operator no longer allows), or a problem code."
        ),
    ]
    every: int
    budget: int
    used: Annotated[int, Meta(description="Identifications so far.")]
    daily: Annotated[
        bool,
        Meta(
            description="Whether the channel's owner has it watched: `budget` and `used` are of one day in UTC, "
            "and the watch goes on with the next stream."
        ),
    ]
    started_at: Time
    last_at: Annotated[Time | None, Meta(description="When it was last identified.")]
    next_at: Annotated[Time | None, Meta(description="When it is identified next; null when it has ended.")]

    @classmethod
    def of(cls, watch: Watch) -> "WatchJson":
        """The form of a watch, without who made it, since anonymous callers may read it."""
        return form_of(
            cls,
            watch,
            every=watch.every_seconds,
            daily=watch.owner_id is not None,
            started_at=watch.created_at,
            next_at=watch.next_at if watch.state is WatchState.RUNNING else None,
        )


class WatchesJson(Struct, kw_only=True):
    """All watches, the running ones first."""

    watches: list[WatchJson]


class RecognizerJson(Struct, kw_only=True):
    """Whether anything can recognize music, and if not, why."""

    available: bool
    detail: str | None


class StatusJson(Struct, kw_only=True):
    """The state and the settings of the service, for every caller."""

    version: str | None
    access_mode: AccessMode
    active: bool
    maintenance: bool
    streams_enabled: bool
    clips_enabled: bool
    motd: Annotated[str | None, Meta(description="The message of the day.")]
    recent_songs: Annotated[bool, Meta(description="Whether the start page shows the newest songs.")]
    twitch_client_id: Annotated[str | None, Meta(description="The application that a sign-in is for.")]
    twitch_scopes: Annotated[list[str], Meta(description="What a sign-in has to ask for.")]
    website_sign_in: Annotated[bool, Meta(description="Whether `/login` works.")]
    recognizer: RecognizerJson


class PermissionJson(Struct, kw_only=True):
    """Whether a caller may ask, and if not, why."""

    allowed: bool
    code: str | None
    detail: str | None

    @classmethod
    def of(cls, refusal: Refusal | None) -> "PermissionJson":
        if refusal is None:
            return cls(allowed=True, code=None, detail=None)
        return cls(allowed=False, code=refusal.code, detail=refusal.detail)


class MeJson(Struct, kw_only=True):
    """Who the caller is, and what the caller may do."""

    login: str | None
    known_by: Annotated[
        Annotated[str, Meta(extra_json_schema={"enum": ["token", "session", "key"]})] | None,
        Meta(description="A bearer token, the website's session, or an API key; null when signed out."),
    ]
    admin: Annotated[bool, Meta(description="May use the admin pages.")]
    missing_scopes: Annotated[
        list[str],
        Meta(description="The scopes that a new sign-in has to grant before we can tell whether you have access."),
    ]
    streams: PermissionJson
    clips: PermissionJson
