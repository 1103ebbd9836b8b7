"""The recognizer that asks Shazam's private service through PyPI's `shazamio`, an optional extra.

Unofficial: nobody grants its use and it may stop working any day. So it is asked only where the operator names it
in TWITCHAUDIO_RECOGNIZERS. The library computes the signature; requests go through our own bounded connections.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.ports import Match
from fingerprint.providers import shazam
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.faults import Fault, ProviderError, transient
from fingerprint.providers.reading import Object, parse_object
from fingerprint.providers.samples import sample_of, wide_wave

INSTALL: Final = "shazamio is not installed: pip install 'twitchaudio[shazam]'."


@dataclass(frozen=True, slots=True)
class ShazamQuery:
    """A sound file, and where in the recording it begins."""

    sample: bytes = field(repr=False)
    start_seconds: float


class ShazamRecognizer:
    """Asks Shazam about a few seconds. A `Recognizer[ShazamQuery]`."""

    def __init__(self, calls: ProviderCalls, base: URL) -> None:
        self._client = _Client(calls, base)

    @property
    def name(self) -> str:
        """The name used in settings, answers and logs."""
        return "shazam"

    async def unavailable(self) -> str | None:
        """One sentence when shazamio is not installed; else None."""
        return INSTALL if find_spec("shazamio") is None else None

    def prepare(self, recording: Recording) -> ShazamQuery:
        """A WAV file of the recording, of the loudest 12 s of a long one.

        Raises TwitchAudioError `no-audio` for silence, which is never sent.
        """
        sample = sample_of(recording)
        # Loading the library takes a while, and this is a thread.
        _ = self._shazam
        return ShazamQuery(wide_wave(sample.pcm), sample.start_seconds)

    async def recognize(self, query: ShazamQuery) -> Sequence[Match]:
        """The song found, or none. Raises ProviderError."""
        answer: Object = await self._shazam.recognize(query.sample)
        return shazam.matches(answer, start_seconds=query.start_seconds)

    @cached_property
    def _shazam(self) -> Any:
        return import_module("shazamio").Shazam(http_client=self._client)


class _Client:
    """What shazamio sends its requests with, in place of its own client."""

    def __init__(self, calls: ProviderCalls, base: URL) -> None:
        self._calls = calls
        self._base = base

    async def request(self, method: str, url: str, **more: Any) -> Object:
        """The JSON object that the service answers. Raises ProviderError."""
        if method.upper() != "POST":
            raise ValueError(f"{method} is not how a song is asked for")
        asked = URL(url, encoded=True)
        address = self._base.join(asked.relative())
        # The library's headers say what kind of client it is; ours say what we send.
        headers = {**more.get("headers", {}), "Content-Type": "application/json"}
        headers.pop("Accept-Encoding", None)
        body = json.dumps(more.get("json")).encode()
        answer = await self._calls.post(shazam.NAME, address, body, headers=headers)
        if answer.status == 429:
            detail = f"{shazam.NAME} is asked too much at a time."
            raise ProviderError(shazam.NAME, Fault.RATE, detail, retry_after_seconds=30.0)
        if answer.status != 200:
            raise transient(shazam.NAME, f"{shazam.NAME} answers with the status {answer.status}.")
        found = parse_object(answer.body)
        if found is None:
            raise transient(shazam.NAME, f"{shazam.NAME} answers with something that cannot be read.")
        return found
