"""Asks Twitch, step by step, and compares what it answers with what this version expects.

The report says which step changed, in words that can be published: tokens, signatures and addresses are left out.
"""

import asyncio
import json
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeVar, cast

from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, VideoTarget
from fingerprint.hls.ads import Verdict, ad_is_running, content_runs, next_content, unknown_signs, verdicts
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.playlist import (
    MAX_CHARACTERS,
    MAX_LIVE_CHARACTERS,
    MAX_VIDEO_CHARACTERS,
    MediaPlaylist,
    Rendition,
    parse_media,
    parse_multivariant,
)
from fingerprint.media.capture import StreamCapture
from fingerprint.media.containers import container_of, unknown_boxes
from fingerprint.media.decoder import DecoderPool
from fingerprint.media.fetch import Fetched, Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.ports import ClipSource, Clock, MediaSource, OnUnknown, VideoSource, ignore_unknown
from fingerprint.retry import retry_budget, time_limit
from fingerprint.setting_formats import GqlAttempt
from fingerprint.twitch import usher
from fingerprint.twitch.answers import PlaybackToken, parse_token_of
from fingerprint.twitch.fetcher import twitch_allow_list, twitch_fetcher
from fingerprint.twitch.gql import ANSWER_STEP, Gql
from fingerprint.twitch.queries import stream_token_query, video_token_query
from fingerprint.twitch.resolve import TwitchResolver
from fingerprint.upstream_settings import TwitchSettings

T = TypeVar("T")

STEP_SECONDS: Final = 35.0
TOKEN_SECONDS: Final = (600.0, 3_600.0)
"""How long a live channel's token is expected to be valid; 1200 s were recorded."""

SEGMENT_SECONDS: Final = ((1.9, 2.1), (4.0, 4.3))
"""Lengths of live segments that were recorded."""

LIVE_TOKEN_NAME: Final = "token"  # noqa: S105 - a parameter's name
"""The only name under which usher takes a live channel's token; for videos it takes others, too."""

VIDEO_SEGMENT_SECONDS: Final = 10.0
MIN_WINDOW_SECONDS: Final = 20.0
MAX_AGE_SECONDS: Final = 45.0
_LATE_SECONDS: Final = 1.0
_SEGMENT_BYTES: Final = 32 << 20
_PREFETCH_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.1
_CAPTURE_SECONDS: Final = 6.0
_MIN_HEARD_SECONDS: Final = 3.0


class Outcome(StrEnum):
    """What came of a step. Only `failed` is trouble: `differs` still works, but not as it was recorded."""

    OK = "ok"
    DIFFERS = "differs"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """A step's outcome, its time in seconds, and what there is to say about it, without secrets."""

    step: str
    outcome: Outcome
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """The steps in their order."""

    at: datetime
    targets: tuple[str, ...]
    steps: tuple[StepResult, ...]

    @property
    def failed(self) -> tuple[StepResult, ...]:
        """The steps that failed."""
        return tuple(step for step in self.steps if step.outcome is Outcome.FAILED)

    def lines(self) -> Iterator[str]:
        """The report as lines of text."""
        yield f"Twitch, asked about {', '.join(self.targets)} on {self.at:%Y-%m-%d %H:%M} UTC"
        yield from step_lines(self.steps)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "at": self.at.isoformat(timespec="seconds"),
            "targets": list(self.targets),
            "ok": not self.failed,
            "steps": steps_json(self.steps),
        }


def step_lines(steps: Sequence[StepResult]) -> Iterator[str]:
    """Steps as lines of text, with a count of their outcomes at the end."""
    for step in steps:
        yield f"{step.outcome:<8} {step.step:<36} {step.seconds:6.2f} s"
        yield from (f"         {note}" for note in step.notes)
    counts = {outcome: sum(step.outcome is outcome for step in steps) for outcome in Outcome}
    yield ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)


def steps_json(steps: Sequence[StepResult]) -> list[dict[str, Any]]:
    """Steps as JSON."""
    return [
        {
            "step": step.step,
            "outcome": str(step.outcome),
            "seconds": round(step.seconds, 3),
            "notes": list(step.notes),
        }
        for step in steps
    ]


class _SkippedError(Exception):
    """The step cannot be tried now; the text says why."""


class _FailedError(Exception):
    """The step failed; the text says why."""


# --- What Twitch is expected to answer: pure checks ---------------------------------------------------


def token_notes(value: str, *, login: str, now: float) -> list[str]:
    """How the content of a live channel's token differs from what was recorded. `now`: seconds since 1970."""
    try:
        content = json.loads(value)
    except (ValueError, RecursionError):
        return ["the token is no longer JSON"]
    if not isinstance(content, dict):
        return ["the token is no longer a JSON object"]
    found = cast("dict[str, Any]", content)
    notes: list[str] = []
    expires = found.get("expires")
    if not isinstance(expires, (int, float)):
        notes.append("the token does not say when it expires")
    elif not TOKEN_SECONDS[0] <= expires - now <= TOKEN_SECONDS[1]:
        notes.append(f"the token is valid for {expires - now:.0f} s, not for 1200 s")
    if found.get("channel") != login:
        notes.append("the token does not name the channel")
    if found.get("version") not in (2, 3):
        notes.append(f"the token's version is {str(found.get('version'))[:20]}, not 2 or 3")
    return notes


def rendition_notes(renditions: Sequence[Rendition]) -> list[str]:
    """How a list of renditions differs from what was recorded."""
    notes: list[str] = []
    if not any(rendition.audio_only for rendition in renditions):
        notes.append("no rendition is audio only, though it was asked for")
    if any(rendition.sound_elsewhere for rendition in renditions):
        notes.append("the sound is a rendition of its own")
    if all(rendition.audio_only for rendition in renditions):
        notes.append("no rendition has a picture")
    if not any(rendition.name for rendition in renditions):
        notes.append("no rendition has a name")
    if not any(rendition.codecs for rendition in renditions):
        notes.append("no rendition says its codecs")
    return notes


def playlist_notes(playlist: MediaPlaylist) -> list[str]:
    """How a live media playlist differs from what was recorded."""
    notes = [f"unknown {kind.replace('-', ' ')} {value[:60]!r}" for kind, value in unknown_signs(playlist)]
    segments = playlist.segments
    if not any(segment.started_at for segment in segments):
        notes.append("no segment has a date")
    if playlist.duration_seconds < MIN_WINDOW_SECONDS and Verdict.AD not in verdicts(playlist):
        notes.append(f"{playlist.duration_seconds:.0f} s are listed, not 30 s")
    odd = sorted({round(each.duration_seconds, 1) for each in segments if not _is_usual(each.duration_seconds)})
    if odd:
        notes.append(f"segments of {', '.join(f'{seconds:g}' for seconds in odd[:5])} s")
    if any(segment.init for segment in segments):
        notes.append("segments are fragmented MP4 with an init section")
    if playlist.ended:
        notes.append("the broadcast has ended")
    return notes


def age_notes(playlist: MediaPlaylist, *, now: datetime) -> list[str]:
    """Whether a live playlist is of another time than now."""
    newest = max((segment.ended_at for segment in playlist.segments if segment.ended_at), default=None)
    age = 0.0 if newest is None else (now - newest).total_seconds()
    if age > MAX_AGE_SECONDS:
        return [f"the newest sound is {age:.0f} s old: the broadcast stands still, or is delayed"]
    return [f"its dates are {-age:.0f} s ahead of this machine's clock"] if age < -MAX_AGE_SECONDS else []


def video_notes(playlist: MediaPlaylist) -> list[str]:
    """How a VOD's media playlist differs from what was recorded."""
    notes: list[str] = []
    *whole, _last = playlist.segments
    odd = sorted({round(each.duration_seconds, 1) for each in whole} - {VIDEO_SEGMENT_SECONDS})
    if odd:
        notes.append(f"segments of {', '.join(f'{seconds:g}' for seconds in odd[:5])} s")
    if len({segment.init for segment in playlist.segments}) > 1:
        notes.append("there are several init sections")
    if any(segment.started_at for segment in playlist.segments):
        notes.append("segments have dates")
    if playlist.date_ranges or playlist.prefetch:
        notes.append("it has tags of live streams")
    return notes


def _is_usual(seconds: float) -> bool:
    return any(low <= seconds <= high for low, high in SEGMENT_SECONDS)


_ADDRESS: Final = re.compile(r"https?://([^\s/?#\"'<>@]*@)?([^\s/?#\"'<>]*)[^\s\"'<>]*")
_IPV4: Final = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\.?\w)")
_IPV6: Final = re.compile(
    r"(?<![\w:])(?=[0-9A-Fa-f:]*(?:::|[A-Fa-f]))(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:])"
)
_OPAQUE: Final = re.compile(r"[A-Za-z0-9_+/=%-]{24,}")
_NAME: Final = re.compile(r"[a-z]{2,14}(-[a-z]{2,14})+|[a-z]{2,14}([A-Z][a-z]{2,14}){2,}|EXT-X(-[A-Z0-9]{2,14})+")
"""Long names of classes, fields and tags, which no secret looks like."""


def redacted(text: str, *secrets: str) -> str:
    """A text without addresses' paths and queries, IP addresses, and anything long enough to be a secret."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "(hidden)")
    text = _ADDRESS.sub(lambda found: f"https://{found[2]}/...", text)
    text = _IPV6.sub("(address)", _IPV4.sub("(address)", text))
    return _OPAQUE.sub(lambda found: found[0] if _NAME.fullmatch(found[0]) else "(hidden)", text)


# --- The steps ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Goes through the steps. Its fetchers and decoders live as long as `open_canary`'s block."""

    services: Fetcher
    media: Fetcher
    decoder: DecoderPool
    settings: TwitchSettings
    clock: Clock
    _results: list[StepResult] = field(default_factory=list[StepResult])

    async def check(self, targets: Sequence[Target]) -> CanaryReport:
        """The report on channels, clips and videos. Raises nothing but cancellation."""
        self._results.clear()
        at = self.clock.now()
        for target in targets:
            match target:
                case ChannelTarget(login=login):
                    await self._channel(login)
                case ClipTarget():
                    await self._step("clip", partial(self._heard, target))
                case VideoTarget():
                    await self._video(target)
                case _:
                    pass
        if not any(isinstance(target, ClipTarget) for target in targets):
            self._skip("clip", "no clip was named")
        if not any(isinstance(target, VideoTarget) for target in targets):
            self._skip("video", "no video was named")
        names = tuple(f"{target.kind} {target.name}" for target in targets)
        return CanaryReport(at=at, targets=names, steps=tuple(self._results))

    async def _channel(self, login: str) -> None:
        tokens = [
            await self._step(
                f"token {number}: {_named(attempt)}", partial(self._token, login, attempt), spare=number > 1
            )
            for number, attempt in enumerate(self.settings.gql_attempts, 1)
        ]
        token = next((each for each in tokens if each is not None), None)
        ways = [way for way in usher.WAYS if way.token == LIVE_TOKEN_NAME]
        url = await self._usher("usher", usher.PlaylistKind.CHANNEL, login, ways, token)
        if url is None:
            for name in ("playlist", "prefetch", "segment", "decode"):
                self._skip(name, "there is no list of renditions")
            return
        playlist = await self._step("playlist", partial(self._playlist, url))
        for name, work in (("prefetch", self._prefetch), ("segment", self._segment)):
            if playlist is None:
                self._skip(name, "there is no playlist")
            else:
                await self._step(name, partial(work, url, playlist))
        await self._step("decode", partial(self._heard, ChannelTarget(login)))

    async def _video(self, target: VideoTarget) -> None:
        token = await self._step("video: token", partial(self._video_token, target.video_id))
        kind = usher.PlaylistKind.VIDEO
        url = await self._usher("video: usher", kind, target.video_id, usher.WAYS, token)
        if url is None:
            self._skip("video: playlist", "there is no list of renditions")
        else:
            await self._step("video: playlist", partial(self._video_playlist, url))
        await self._step("video", partial(self._heard, target))

    async def _usher(
        self,
        prefix: str,
        kind: usher.PlaylistKind,
        name: str,
        ways: Sequence[usher.Way],
        token: PlaybackToken | None,
    ) -> URL | None:
        """Try each way to usher. The address of the first playlist that one of them found."""
        found: list[URL] = []
        for number, way in enumerate(ways):
            step = f"{prefix} v{way.version}, {way.token} and {way.signature}"
            if token is None:
                self._skip(step, "there is no token")
                continue
            url = await self._step(step, partial(self._renditions, kind, way, name, token), spare=number > 0)
            found += [] if url is None else [url]
        return next(iter(found), None)

    async def _step(
        self, name: str, work: Callable[[], Awaitable[tuple[T, list[str]]]], *, spare: bool = False
    ) -> T | None:
        """Do a step and record its outcome; its value, or None. One that is `spare` only differs when it fails."""
        started = time.monotonic()
        value: T | None = None
        try:
            with retry_budget(2), time_limit(STEP_SECONDS):
                async with asyncio.timeout(STEP_SECONDS):
                    value, notes = await work()
            outcome = Outcome.DIFFERS if notes else Outcome.OK
        except _SkippedError as error:
            outcome, notes = Outcome.SKIPPED, [str(error)]
        except (_FailedError, PlaylistError, usher.UsherFailure) as error:
            outcome, notes = Outcome.FAILED, [str(error)]
        except TwitchAudioError as error:
            hint = " Name a channel that is." if error.code is ProblemCode.NOT_LIVE else ""
            outcome, notes = Outcome.FAILED, [f"{error.code}: {error.detail}{hint}"]
        except TimeoutError:
            outcome, notes = Outcome.FAILED, [f"it took longer than {STEP_SECONDS:.0f} s"]
        except Exception as error:  # noqa: BLE001 - the report names a fault of ours, too
            outcome, notes = Outcome.FAILED, [f"a fault of ours: {type(error).__name__}"]
        if spare and outcome is Outcome.FAILED:
            outcome, notes = Outcome.DIFFERS, [*notes, "this way is tried only after the others"]
        self._record(name, outcome, notes, time.monotonic() - started)
        return value

    def _skip(self, name: str, why: str) -> None:
        self._record(name, Outcome.SKIPPED, [why])

    def _record(self, name: str, outcome: Outcome, notes: Sequence[str], seconds: float = 0.0) -> None:
        session_token = self.settings.session_token
        secrets = () if session_token is None else (session_token.reveal(),)
        shown = tuple(redacted(note, *secrets)[:400] for note in notes)
        self._results.append(StepResult(step=name, outcome=outcome, seconds=seconds, notes=shown))

    # Each step returns its value and its notes. It raises _FailedError, _SkippedError, TwitchAudioError.

    async def _token(self, login: str, attempt: GqlAttempt) -> tuple[PlaybackToken, list[str]]:
        outcomes: list[tuple[str, str]] = []
        asked = Gql(
            self.services,
            self.settings.gql_url,
            (attempt,),
            session_token=self.settings.session_token,
            on_outcome=lambda step, outcome: outcomes.append((step, outcome)),
        )
        parse = partial(parse_token_of, name="streamPlaybackAccessToken", subject="broadcast")
        token = await asked.ask(stream_token_query(login), parse)
        if token is None:
            raise _FailedError("This channel does not exist on Twitch")
        notes = ["there are errors beside the data"] if (ANSWER_STEP, "partial") in outcomes else []
        return token, notes + token_notes(token.value, login=login, now=self.clock.now().timestamp())

    async def _video_token(self, video_id: str) -> tuple[PlaybackToken, list[str]]:
        asked = Gql(
            self.services,
            self.settings.gql_url,
            self.settings.gql_attempts,
            session_token=self.settings.session_token,
        )
        parse = partial(parse_token_of, name="videoPlaybackAccessToken", subject="video")
        token = await asked.ask(video_token_query(video_id), parse)
        if token is None:
            raise _FailedError("This video does not exist on Twitch")
        return token, []

    async def _renditions(
        self, kind: usher.PlaylistKind, way: usher.Way, name: str, token: PlaybackToken
    ) -> tuple[URL, list[str]]:
        url = usher.build_url(self.settings.usher_url, kind, way, name, token)
        fetched = await self.services.get(
            url,
            step=usher.STEP,
            max_bytes=MAX_CHARACTERS,
            total_seconds=usher.REQUEST_SECONDS,
        )
        try:
            urls = usher.parse_answer(kind, fetched, url)
        except usher.UsherFailure as failure:
            raise _FailedError(f"{failure.outcome}: {failure.error.detail}") from failure
        return urls[0], rendition_notes(parse_multivariant(fetched.text).renditions)

    async def _playlist(self, url: URL) -> tuple[MediaPlaylist, list[str]]:
        fetched = await self._media(url, step="playlist", max_bytes=MAX_LIVE_CHARACTERS)
        playlist = parse_media(fetched.text)
        if not playlist.segments:
            raise _FailedError("it lists no segments")
        return playlist, playlist_notes(playlist) + age_notes(playlist, now=self.clock.now())

    async def _video_playlist(self, url: URL) -> tuple[MediaPlaylist, list[str]]:
        fetched = await self._media(url, step="playlist", max_bytes=MAX_VIDEO_CHARACTERS)
        playlist = await asyncio.to_thread(parse_media, fetched.text)
        if not playlist.segments:
            raise _FailedError("it lists no segments")
        return playlist, video_notes(playlist)

    async def _prefetch(self, url: URL, playlist: MediaPlaylist) -> tuple[None, list[str]]:
        if ad_is_running(playlist):
            raise _SkippedError("ads are running")
        if not playlist.prefetch:
            return None, ["no segment that is being made is listed, though it was asked for"]
        following = next_content(playlist)
        if following is None:
            raise _SkippedError("what is being made may be an ad")
        response = self.media.get_partial(
            address(url, following), step="prefetch", max_bytes=_SEGMENT_BYTES, total_seconds=_PREFETCH_SECONDS
        )
        for _ in range(round(_PREFETCH_SECONDS / _POLL_SECONDS)):
            if response.so_far or response.status not in (None, 200):
                break
            await asyncio.sleep(_POLL_SECONDS)
        if response.status not in (None, 200):
            raise _FailedError(f"Twitch answers {response.status}")
        if not response.so_far:
            raise _FailedError(f"nothing of it came within {_PREFETCH_SECONDS:.0f} s")
        return None, []

    async def _segment(self, url: URL, playlist: MediaPlaylist) -> tuple[None, list[str]]:
        runs = content_runs(playlist)
        if not runs:
            raise _SkippedError("ads are running")
        segment = runs[-1][-1]
        fetched = await self._media(address(url, segment.uri), step="segment", max_bytes=_SEGMENT_BYTES)
        container = container_of(fetched.body, has_init=segment.init is not None)
        if container is None:
            raise _FailedError("its bytes are not media of a known kind")
        notes = (
            [f"unknown box {name!r}" for name in sorted(unknown_boxes(fetched.body))] if container == "mp4" else []
        )
        return None, notes

    async def _heard(self, target: Target) -> tuple[None, list[str]]:
        """The whole way from a target to its sound, as a job goes it."""
        source = await TwitchResolver(self.services, self.settings).resolve(target)
        capture = StreamCapture(self.media, self.decoder, self.clock)
        try:
            async with aclosing(capture.takes(source, _CAPTURE_SECONDS)) as takes:
                recording = await anext(takes)
        except TwitchAudioError as error:
            if error.code is ProblemCode.AD_BREAK:
                raise _SkippedError("ads are running") from error
            raise
        return None, _sound_notes(source, recording)

    async def _media(self, url: URL, *, step: str, max_bytes: int) -> Fetched:
        fetched = await self.media.get(url, step=step, max_bytes=max_bytes, total_seconds=10.0)
        if fetched.status != 200:
            raise _FailedError(f"Twitch answers {fetched.status}")
        return fetched


def _sound_notes(source: MediaSource, recording: Recording) -> list[str]:
    """What is odd about the sound of a source."""
    heard, start = recording.pcm.duration_seconds, recording.from_seconds or 0.0
    notes = [] if heard >= _MIN_HEARD_SECONDS else [f"only {heard:.1f} s were decoded"]
    match source:
        case VideoSource(at_seconds=at) if not start - _LATE_SECONDS <= at <= start + heard + _LATE_SECONDS:
            notes.append(f"the moment cannot be heard; the nearest sound begins at {start:.0f} s")
        case ClipSource(duration_seconds=length):
            if start > _LATE_SECONDS:
                notes.append(f"its sound begins after {start:.1f} s")
            if length is not None and start + heard < length - _LATE_SECONDS:
                notes.append(f"only {start + heard:.1f} s of {length:.0f} s came")
        case _:
            pass
    return notes


def _named(attempt: GqlAttempt) -> str:
    return f"{attempt.form}, client {attempt.client_id[:6]}"


@asynccontextmanager
async def open_canary(
    settings: TwitchSettings, *, on_unknown: OnUnknown = ignore_unknown
) -> AsyncGenerator[Canary]:
    """A canary with its own connections and one decoder process. `on_unknown`: as for `open_pipeline`."""
    clock = SystemClock()
    async with (
        twitch_fetcher(twitch_allow_list(settings), user_agent=settings.user_agent) as services,
        twitch_fetcher(
            AllowList.of_media_hosts(settings.all_media_hosts),
            user_agent=settings.user_agent,
            on_unknown=on_unknown,
        ) as media,
        DecoderPool(workers=1) as decoder,
    ):
        yield Canary(services=services, media=media, decoder=decoder, settings=settings, clock=clock)
