"""From settings to a pipeline. The only place that names concrete classes together."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

import numpy as np

from fingerprint.clock import SystemClock
from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.media.breaker import Breaker
from fingerprint.media.capture import StreamCapture
from fingerprint.media.decoder import DecoderPool
from fingerprint.media.fetch import Fetcher
from fingerprint.media.hosts import AllowList
from fingerprint.pipeline import CAPTURE_SECONDS, Pipeline
from fingerprint.ports import ClipOwners, MediaResolver, OnOutcome, Recognizer, Recognizers, ignore_outcome
from fingerprint.recognizers import REGISTRY
from fingerprint.recognizers.chain import RecognizerChain
from fingerprint.settings import PipelineSettings, SettingsError
from fingerprint.twitch.clips import TwitchClips
from fingerprint.twitch.resolve import TwitchResolver, twitch_allow_list
from fingerprint.twitch.sessions import KeptSessions

_log = logging.getLogger(__name__)

FREE: Final = frozenset({"catalog"})
"""Recognizers that cost nothing for each question, and so are asked about further takes of a live stream too."""


def make_recognizers(settings: PipelineSettings) -> list[Recognizer[Any]]:
    """The configured recognizers in their order.

    Raises SettingsError for a name that there is no recognizer for, or whose keys are not set.
    """
    chosen: list[Recognizer[Any]] = []
    for name in settings.recognizers:
        entry = REGISTRY.get(name)
        if entry is None:
            takes = f"comma-separated names out of {', '.join(REGISTRY)}"
            raise SettingsError("TWITCHAUDIO_RECOGNIZERS", name, takes)
        if not entry.is_configured(settings):
            raise SettingsError("TWITCHAUDIO_RECOGNIZERS", name, "recognizers whose keys are set")
        chosen.append(entry.factory(settings))
    return chosen


@asynccontextmanager
async def open_recognizers(settings: PipelineSettings) -> AsyncGenerator[Recognizers]:
    """The configured recognizers as one. Raises SettingsError."""
    async with RecognizerChain(make_recognizers(settings)) as recognizers:
        yield recognizers


@asynccontextmanager
async def open_resolver(
    settings: PipelineSettings, *, breaker: Breaker | None = None, on_outcome: OnOutcome = ignore_outcome
) -> AsyncGenerator[MediaResolver]:
    """The resolver, with its own connections to gql and usher."""
    async with Fetcher(twitch_allow_list(settings.twitch), breaker=breaker, on_outcome=on_outcome) as fetcher:
        yield TwitchResolver(fetcher, settings.twitch, on_outcome=on_outcome)


@asynccontextmanager
async def open_clip_owners(
    settings: PipelineSettings, *, on_outcome: OnOutcome = ignore_outcome
) -> AsyncGenerator[ClipOwners]:
    """Whose clip it is, with connections to gql of its own."""
    async with Fetcher(twitch_allow_list(settings.twitch), on_outcome=on_outcome) as fetcher:
        yield TwitchClips(fetcher, settings.twitch, on_outcome=on_outcome)


@asynccontextmanager
async def open_pipeline(
    settings: PipelineSettings, *, on_outcome: OnOutcome = ignore_outcome
) -> AsyncGenerator[Pipeline]:
    """The whole pipeline; connections and decoder processes live as long as the block.

    `on_outcome` is told of every upstream call. Raises SettingsError.
    """
    clock = SystemClock()
    breaker = Breaker(clock)
    media_hosts = AllowList.of_media_hosts(settings.twitch.media_hosts)
    chosen = make_recognizers(settings)
    async with (
        RecognizerChain(chosen) as recognizers,
        RecognizerChain([recognizer for recognizer in chosen if recognizer.name in FREE]) as further,
        open_resolver(settings, breaker=breaker, on_outcome=on_outcome) as resolver,
        Fetcher(media_hosts, breaker=breaker, on_outcome=on_outcome) as media,
        DecoderPool() as decoder,
        _warming(recognizer for recognizer in chosen if recognizer.name in FREE),
    ):
        sessions = KeptSessions(resolver, clock)
        capture = StreamCapture(fetcher=media, decoder=decoder, clock=clock, renew=sessions.renew)
        yield Pipeline(resolver=sessions, capture=capture, recognizers=recognizers, further=further, clock=clock)


@asynccontextmanager
async def _warming(recognizers: Iterable[Recognizer[Any]]) -> AsyncGenerator[None]:
    """Fingerprints a moment of noise meanwhile: the first time takes twice as long, and somebody waits for it."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, round(CAPTURE_SECONDS * SAMPLE_RATE)))
    recording = Recording(pcm=Pcm(noise.astype(np.float32)))

    async def warm() -> None:
        for recognizer in recognizers:
            try:
                await asyncio.to_thread(recognizer.prepare, recording)
            except Exception:  # noqa: BLE001 - whoever asks first will be told
                _log.exception("recognizer_not_warmed", extra={"recognizer": recognizer.name})

    task = asyncio.create_task(warm())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
