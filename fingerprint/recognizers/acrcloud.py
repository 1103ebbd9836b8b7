"""The recognizer that asks ACRCloud; its API is in `fingerprint.providers.acrcloud`."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.ports import Match
from fingerprint.providers import acrcloud
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.extractor import Extract, ExtractorMissingError, load_extractor
from fingerprint.providers.samples import narrow_samples, narrow_wave, sample_of
from fingerprint.settings import Secret

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AcrCloudQuery:
    """A sample in the form in which it is sent, and where in the recording it lies."""

    sample: bytes = field(repr=False)
    data_type: str
    seconds: float
    start_seconds: float


class AcrCloudRecognizer:
    """Asks ACRCloud about a few seconds. A `Recognizer[AcrCloudQuery]`.

    `send` is `fingerprint`, `audio`, or `auto`: the fingerprint where its extractor can be loaded. The extractor
    is loaded when the first recording is prepared; when it is missing, that is logged once.
    """

    def __init__(
        self,
        calls: ProviderCalls,
        base: URL,
        *,
        access_key: Secret,
        access_secret: Secret,
        send: str = "auto",
        load: Callable[[], Extract] = load_extractor,
    ) -> None:
        self._calls = calls
        self._url = base / acrcloud.PATH.lstrip("/")
        self._access_key = access_key
        self._access_secret = access_secret
        self._send = send
        self._load = load
        self._lock = threading.Lock()
        self._tried = False
        self._extract: Extract | None = None
        self._missing: str | None = None

    @property
    def name(self) -> str:
        """The name used in settings, answers and logs."""
        return "acrcloud"

    async def unavailable(self) -> str | None:
        """One sentence when only the fingerprint may be sent and there is no extractor; else None."""
        if self._send == "fingerprint" and self._missing is not None:
            return f"ACRCloud's fingerprint cannot be made: {self._missing}."
        return None

    def prepare(self, recording: Recording) -> AcrCloudQuery:
        """A fingerprint of the recording, or the sound of it; the loudest 12 s of a long one.

        Raises TwitchAudioError `no-audio` for silence, which is never sent.
        """
        sample = sample_of(recording)
        extract = self._extractor()
        if extract is None:
            if self._send == "fingerprint":
                raise RuntimeError(f"ACRCloud's fingerprint cannot be made: {self._missing}")
            content, data_type = narrow_wave(sample.pcm), "audio"
        else:
            content, data_type = extract(narrow_samples(sample.pcm)), "fingerprint"
        return AcrCloudQuery(content, data_type, sample.pcm.duration_seconds, sample.start_seconds)

    async def recognize(self, query: AcrCloudQuery) -> Sequence[Match]:
        """The song found, or none. Raises ProviderError, or TwitchAudioError `no-audio`."""
        return await self._calls.with_retry(lambda: self._ask(query))

    async def _ask(self, query: AcrCloudQuery) -> Sequence[Match]:
        headers, body = acrcloud.question(
            query.sample,
            query.data_type,
            access_key=self._access_key.reveal(),
            access_secret=self._access_secret.reveal(),
            timestamp=int(self._calls.clock.now().timestamp()),
        )
        answer = await self._calls.post(acrcloud.NAME, self._url, body, headers=headers)
        return acrcloud.matches(answer, sample_seconds=query.seconds, start_seconds=query.start_seconds)

    def _extractor(self) -> Extract | None:
        """The extractor; None when audio is to be sent or it is missing. Called in threads."""
        if self._send == "audio":
            return None
        with self._lock:
            if not self._tried:
                self._tried = True
                try:
                    self._extract = self._load()
                except ExtractorMissingError as missing:
                    self._missing = str(missing)
                    _log.warning("acrcloud_sends_audio", extra={"reason": self._missing})
            return self._extract
