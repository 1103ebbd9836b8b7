"""Asks Twitch, step by step, and compares what it answers with what this version expects.

The report says which step changed, in words that can be published: tokens, signatures and addresses are left out.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from yarl import URL

from fingerprint.canary_checks import (
    age_notes,
    playlist_notes,
    redacted,
    rendition_notes,
    token_notes,
    video_notes,
)
from fingerprint.clock import SystemClock
from fingerprint.domain.audio import Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.domain.targets import ChannelTarget, ClipTarget, Target, VideoTarget
from fingerprint.hls.ads import ad_is_running, content_runs, next_content
from fingerprint.hls.attributes import PlaylistError, address
from fingerprint.hls.playlist import (
    MAX_CHARACTERS,
    MAX_LIVE_CHARACTERS,
    MAX_VIDEO_CHARACTERS,
    MediaPlaylist,
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
from fingerprint.step_report import CanaryReport, Outcome, StepResult
from fingerprint.twitch import usher
from fingerprint.twitch.answers import PlaybackToken, parse_token_of
from fingerprint.twitch.fetcher import twitch_allow_list, twitch_fetcher
from fingerprint.twitch.gql import ANSWER_STEP, Gql
from fingerprint.twitch.queries import stream_token_query, video_token_query
from fingerprint.twitch.resolve import TwitchResolver
from fingerprint.upstream_settings import TwitchSettings

T = TypeVar("T")

STEP_SECONDS: Final = 35.0
LIVE_TOKEN_NAME: Final = "token"  # noqa: S105 - a parameter's name
"""The only name under which usher takes a live channel's token; for videos it takes others, too."""

_LATE_SECONDS: Final = 1.0
_SEGMENT_BYTES: Final = 32 << 20
_PREFETCH_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.1
_CAPTURE_SECONDS: Final = 6.0
_MIN_HEARD_SECONDS: Final = 3.0


class _SkippedError(Exception):
    """The step cannot be tried now; the text says why."""


class _FailedError(Exception):
    """The step failed; the text says why."""


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
