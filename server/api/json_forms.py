"""The JSON of the API's requests and answers, each form once: msgspec writes and checks it, and describes it for
the OpenAPI document. The Identification's own form is in `fingerprint.wire`.

A class is listed in the document under its name without `Json`.
"""

import contextlib
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self, cast

from msgspec import UNSET, Meta, Struct, UnsetType, to_builtins
from msgspec import field as form_field

from fingerprint.canary import CanaryReport, Outcome
from fingerprint.domain.identification import Song
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
from fingerprint.domain.tracklist import TracklistEntry
from fingerprint.providers.guard import ProviderState, ProviderStatus
from fingerprint.wire import Json, ProblemDetails, song_to_json, time_from_json, time_to_json
from server.access.rules.policy import Refusal
from server.access.rules.website import AccessMode
from server.api.set_list_files import NamedTracklist, hearing_link
from server.channels.reports import NOTE_LIMIT, Reason
from server.channels.song_tokens import SongToken
from server.channels.video_set_list import SetListStatus, VideoSetList
from server.channels.watch import BUDGET, BUDGET_MOST, EVERY_LEAST, EVERY_MOST, EVERY_SECONDS, Watch, WatchState
from server.identifications.set_list import Play
from server.readiness import PartState
from server.songs.store import Hearing
from server.webhooks.messages import CHOSEN, EventType, Webhook
from server.webhooks.sender import URL_LIMIT

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
SongJson = Annotated[Json, Meta(extra_json_schema={"$ref": "#/components/schemas/Song"})]
ProblemJson = Annotated[Json, Meta(extra_json_schema={"$ref": "#/components/schemas/Problem"})]
Count = Annotated[int, Meta(ge=0)]

MOST_CHANNELS: Final = 50
"""How many channels a webhook may name."""


def moment_from(text: str) -> datetime | None:
    """The moment in an RFC 3339 time with its offset; None for any other text."""
    with contextlib.suppress(ValueError, OverflowError):
        if datetime.fromisoformat(text).tzinfo is not None:
            return time_from_json(text)
    return None


def _time(moment: datetime) -> str:
    text = time_to_json(moment)
    assert text is not None, "a time is written as text"
    return text


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


class PlayJson(Struct, kw_only=True):
    """One play of a song: consecutive answers that named it."""

    song: SongJson
    first_heard: Time
    last_heard: Time
    identifications: Annotated[list[str], Meta(description="Ids of the answers, newest first.")]
    probable: Annotated[bool, Meta(description="None of the answers was sure: show the song as probable.")]

    @classmethod
    def of(cls, play: Play, *, paths: bool) -> "PlayJson":
        return cls(
            song=song_to_json(play.song, paths=paths),
            first_heard=_time(play.first_heard),
            last_heard=_time(play.last_heard),
            identifications=list(play.answers),
            probable=play.probable,
        )


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

    @classmethod
    def of(cls, hearing: Hearing) -> "HearingJson":
        return cls(
            kind=cast("Literal['stream', 'clip', 'video']", str(hearing.kind)),
            target=hearing.target,
            channel=hearing.channel,
            first_heard=_time(hearing.first_heard),
            last_heard=_time(hearing.last_heard),
            identification=hearing.identification_id,
            broadcast=hearing.broadcast,
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
    score: float
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
        form.created_at = _time(made.created_at)
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
        score=round(entry.score, 4),
        recognizer=entry.recognizer,
        heard=heard if named.kind == "video" else None,
        link=named.link(entry.start),
    )


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
        return cls(
            id=made.id,
            channel=made.channel,
            note=made.note,
            created_at=_time(made.created_at),
            revoked_at=time_to_json(made.revoked_at),
            used_at=time_to_json(made.used_at),
            **more,
        )


class NewSongTokenJson(SongTokenJson, kw_only=True):
    """A token that was just made, with its text."""

    token: Annotated[str, Meta(description="The token itself, shown this once.")]


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
            description="Why it ended: `stream-ended`, `budget-used`, `stopped`, `key-invalid`, or a problem code."
        ),
    ]
    every: int
    budget: int
    used: Annotated[int, Meta(description="Identifications so far.")]
    started_at: Time
    last_at: Annotated[Time | None, Meta(description="When it was last identified.")]
    next_at: Annotated[Time | None, Meta(description="When it is identified next; null when it has ended.")]

    @classmethod
    def of(cls, watch: Watch) -> "WatchJson":
        """The form of a watch, without who made it, since anonymous callers may read it."""
        return cls(
            channel=watch.channel,
            state=watch.state,
            reason=watch.reason,
            every=watch.every_seconds,
            budget=watch.budget,
            used=watch.used,
            started_at=_time(watch.created_at),
            last_at=time_to_json(watch.last_at),
            next_at=time_to_json(watch.next_at if watch.state is WatchState.RUNNING else None),
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


class AliveJson(Struct, kw_only=True):
    """The answer of a process that is alive."""

    status: Literal["alive"] = "alive"


class DependencyJson(Struct, kw_only=True):
    """Whether something that the server depends on can be used; it is not ready without what is required."""

    ready: bool
    required: bool
    detail: str | None
    last_error: Annotated[str | None, Meta(description="What was wrong last; it may be over.")] = None
    last_error_at: Time | None = None

    @classmethod
    def of(cls, state: PartState) -> "DependencyJson":
        return cls(
            ready=state.ready,
            required=state.required,
            detail=state.detail,
            last_error=state.last_error,
            last_error_at=None if state.last_error_at is None else _time(state.last_error_at),
        )


class DependenciesJson(Struct, kw_only=True):
    """The services that the server depends on, and whether each can be used."""

    database: DependencyJson
    jobs: DependencyJson
    recognizers: DependencyJson
    decoder: Annotated[DependencyJson, Meta(description="Whether a worker process decodes sound.")] | UnsetType = (
        UNSET
    )
    catalog: (
        Annotated[DependencyJson, Meta(description="Whether a worker process searches the catalog.")] | UnsetType
    ) = UNSET
    redis: (
        Annotated[DependencyJson, Meta(description="Whether Redis answers; the server does its work without it.")]
        | UnsetType
    ) = UNSET
    background: (
        Annotated[DependencyJson, Meta(description="Whether the server's work in the background goes well.")]
        | UnsetType
    ) = UNSET


class SpendingJson(Struct, kw_only=True):
    """Questions asked in the current period; `most` and `left` are null where there is no budget."""

    used: int
    most: Count | None
    left: Count | None
    ends_at: Time


class BudgetsJson(Struct, kw_only=True):
    """What was asked of a provider, in each period that it has a budget for."""

    day: SpendingJson | UnsetType = UNSET
    month: SpendingJson | UnsetType = UNSET


class ProviderJson(Struct, kw_only=True):
    """The state of a provider, and what is left of its budgets."""

    state: ProviderState
    detail: str | None
    asked_again_in_seconds: float | None
    budgets: Annotated[
        BudgetsJson | None,
        Meta(description="Questions asked by all servers together; null while they cannot be counted."),
    ]

    @classmethod
    def of(cls, status: ProviderStatus) -> "ProviderJson":
        spending = status.spending
        return cls(
            state=status.state,
            detail=status.detail,
            asked_again_in_seconds=status.seconds,
            budgets=None
            if spending is None
            else BudgetsJson(
                **{
                    str(each.period): SpendingJson(
                        used=each.used, most=each.most, left=each.left, ends_at=_time(each.ends_at)
                    )
                    for each in spending
                }
            ),
        )


class TwitchCheckJson(Struct, kw_only=True):
    """The newest hourly check of Twitch, for information; the server is ready in any case."""

    checked_at: Time
    failed: Annotated[list[str], Meta(description="The steps that failed.")]
    differs: Annotated[list[str], Meta(description="The steps that work, but not as they were recorded.")]

    @classmethod
    def of(cls, report: CanaryReport | None) -> "TwitchCheckJson | None":
        """None before the first check, and when none was configured."""
        if report is None:
            return None
        differs = [step.step for step in report.steps if step.outcome is Outcome.DIFFERS]
        return cls(checked_at=_time(report.at), failed=[step.step for step in report.failed], differs=differs)


class ReadinessJson(Struct, kw_only=True):
    """Whether requests can be served; for the operator, each dependency named."""

    status: Literal["ready", "not ready"]
    dependencies: Annotated[DependenciesJson, Meta(description="For the operator alone.")] | UnsetType = UNSET
    providers: (
        Annotated[
            dict[str, ProviderJson],
            Meta(description="The recognizers that cost something, by name; for the operator alone."),
        ]
        | UnsetType
    ) = UNSET
    twitch: Annotated[TwitchCheckJson | None, Meta(description="For the operator alone.")] | UnsetType = UNSET


class WebhookWish(RequestBody):
    """An address that is to be told of events."""

    url: Annotated[str, Meta(max_length=URL_LIMIT, description="An https address at a public host.")]
    events: Annotated[
        list[str],
        Meta(description="`play.started`, `play.updated`, `identification.finished`; all when left out."),
    ] = form_field(default_factory=list[str])
    channels: Annotated[
        list[str], Meta(description="The channels whose plays are told, by name or address; at most 50.")
    ] = form_field(default_factory=list[str])

    def chosen(self) -> tuple[EventType, ...]:
        """The events. Raises TwitchAudioError `invalid-input`."""
        unknown = sorted(set(self.events) - set(CHOSEN))
        if unknown:
            raise invalid_input(f'"events" takes {", ".join(CHOSEN)}, not {unknown[0][:50]!r}.')
        return tuple(event for event in CHOSEN if not self.events or event in self.events)

    def logins(self) -> tuple[str, ...]:
        """The logins of the channels. Raises TwitchAudioError `invalid-input`."""
        logins = tuple(dict.fromkeys(channel_target(each).login for each in self.channels))
        if len(logins) > MOST_CHANNELS:
            raise invalid_input(f'"channels" takes at most {MOST_CHANNELS} of them.')
        if self.events and EventType.IDENTIFICATION not in self.events and not logins:
            raise invalid_input('Plays are told of the channels in "channels": name at least one.')
        return logins


class WebhookJson(Struct, kw_only=True):
    """An address that is told of events."""

    id: str
    url: str
    events: list[str]
    channels: list[str]
    secret: Annotated[str | None, Meta(description="For checking signatures: `whsec_...`, shown this once.")] = (
        None
    )
    state: Annotated[str, Meta(extra_json_schema={"enum": ["active", "failing", "disabled"]})]
    created_at: Time
    last_delivery_at: Time | None = None
    failing_since: Time | None = None
    last_error: str | None = None
    disabled: Annotated[str | None, Meta(description="Why nothing is sent any more; PUT it again to go on.")] = (
        None
    )

    @classmethod
    def of(cls, webhook: Webhook, *, secret: str | None = None) -> "WebhookJson":
        failing = "active" if webhook.failing_since is None else "failing"
        return cls(
            id=webhook.id,
            url=webhook.url,
            events=[str(event) for event in webhook.events],
            channels=list(webhook.channels),
            secret=secret,
            state=failing if webhook.disabled is None else "disabled",
            created_at=_time(webhook.created_at),
            last_delivery_at=time_to_json(webhook.last_delivery_at),
            failing_since=time_to_json(webhook.failing_since),
            last_error=webhook.last_error,
            disabled=webhook.disabled,
        )


class WebhooksJson(Struct, kw_only=True):
    """The caller's webhooks."""

    webhooks: list[WebhookJson]


class WebhookTestJson(Struct, kw_only=True):
    """What came of a test message."""

    delivered: bool
    status: Annotated[int | None, Meta(description="The HTTP status of the address's answer, if there was one.")]
    detail: Annotated[str | None, Meta(description="What was wrong.")]


FORMS: Final[tuple[Any, ...]] = (
    WebhookWish, WebhookJson, WebhooksJson, WebhookTestJson,
    *QUESTIONS, ReportJson, WatchTerms, SongTokenWish, AccessCodeJson, SetListJson, SongHistoryJson,
    NewSongTokenJson,
    TracklistJson, SongTokensJson, WatchJson, WatchesJson, StatusJson, MeJson, AliveJson, ReadinessJson,
)  # fmt: skip
"""The bodies of requests and answers; the document also describes the forms that they contain."""
