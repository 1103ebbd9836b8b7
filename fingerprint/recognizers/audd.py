"""The recognizer that asks AudD; its API is in `fingerprint.providers.audd`."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.ports import Match
from fingerprint.providers import audd
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.samples import sample_of, wide_wave
from fingerprint.settings import Secret


@dataclass(frozen=True, slots=True)
class AuddQuery:
    """A sound file, and where in the recording it begins."""

    sample: bytes = field(repr=False)
    start_seconds: float


class AuddRecognizer:
    """Asks AudD about a few seconds. A `Recognizer[AuddQuery]`."""

    def __init__(self, calls: ProviderCalls, url: URL, *, api_token: Secret) -> None:
        self._calls = calls
        self._url = url
        self._api_token = api_token

    @property
    def name(self) -> str:
        """The name used in settings, answers and logs."""
        return "audd"

    async def unavailable(self) -> str | None:
        """Always None: a token is there, and whether it is good only a question can tell."""
        return None

    def prepare(self, recording: Recording) -> AuddQuery:
        """A WAV file of the recording, of the loudest 12 s of a long one.

        Raises TwitchAudioError `no-audio` for silence, which is never sent.
        """
        sample = sample_of(recording)
        return AuddQuery(wide_wave(sample.pcm), sample.start_seconds)

    async def recognize(self, query: AuddQuery) -> Sequence[Match]:
        """The song found, or none. Raises ProviderError, or TwitchAudioError `no-audio`."""
        return await self._calls.with_retry(lambda: self._ask(query))

    async def _ask(self, query: AuddQuery) -> Sequence[Match]:
        headers, body = audd.question(query.sample, api_token=self._api_token.reveal())
        answer = await self._calls.post(audd.NAME, self._url, body, headers=headers)
        return audd.matches(answer, start_seconds=query.start_seconds)
