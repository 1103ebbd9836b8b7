"""ACRCloud: the recognizer that asks its identification API, version 1 (HMAC-signed multipart forms)."""

import base64
import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.fetch import Fetched
from fingerprint.media.pcm import no_audio
from fingerprint.ports import Match
from fingerprint.providers.acrcloud_extractor import Extract, ExtractorMissingError, load_extractor
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.errors import FailureKind, ProviderError, no_answer, refused_key, too_often, transient
from fingerprint.providers.multipart import multipart
from fingerprint.providers.reading import Object, first, integer, number, objects, parse_object, text, texts
from fingerprint.providers.samples import narrow_samples, narrow_wave, sample_of
from fingerprint.settings import Secret

NAME: Final = "ACRCloud"
PATH: Final = "/v1/identify"
SIGNATURE_VERSION: Final = "1"

_KEY: Final = (
    f"{NAME} does not take our access key: the operator should check ACRCLOUD_ACCESS_KEY and ACRCLOUD_HOST."
)
_SIGNATURE: Final = (
    f"{NAME} does not take our signature: "
    "the operator should check ACRCLOUD_ACCESS_SECRET and this machine's clock."
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AcrCloudQuery:
    """A sample in the encoded form that is sent, and its position in the recording."""

    sample: bytes = field(repr=False)
    data_type: str
    seconds: float
    start_seconds: float


class AcrCloudRecognizer:
    """A `Recognizer[AcrCloudQuery]` that asks ACRCloud about a few seconds of sound.

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
        self._url = base / PATH.lstrip("/")
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
        return "acrcloud"

    async def unavailable_reason(self) -> str | None:
        """One sentence when only the fingerprint may be sent and the extractor is missing; otherwise None."""
        if self._send == "fingerprint" and self._missing is not None:
            return f"ACRCloud's fingerprint cannot be made: {self._missing}."
        return None

    def prepare(self, recording: Recording) -> AcrCloudQuery:
        """The recording's fingerprint or its sound; of a long recording, the loudest 12 s.

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
        headers, body = build_request(
            query.sample,
            query.data_type,
            access_key=self._access_key.reveal(),
            access_secret=self._access_secret.reveal(),
            timestamp=int(self._calls.clock.now().timestamp()),
        )
        answer = await self._calls.post(NAME, self._url, body, headers=headers)
        return parse_matches(answer, sample_seconds=query.seconds, start_seconds=query.start_seconds)

    def _extractor(self) -> Extract | None:
        """The extractor, or None when audio is to be sent or it is missing. Called in threads."""
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


def signature(access_key: str, access_secret: str, data_type: str, timestamp: str) -> str:
    """The Base64 HMAC-SHA1 signature of a request's six signed lines."""
    signed = f"POST\n{PATH}\n{access_key}\n{data_type}\n{SIGNATURE_VERSION}\n{timestamp}"
    return base64.b64encode(hmac.digest(access_secret.encode(), signed.encode(), hashlib.sha1)).decode()


def build_request(
    sample: bytes, data_type: str, *, access_key: str, access_secret: str, timestamp: int
) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a request about a sample; `data_type` is `fingerprint` or `audio`."""
    moment = str(timestamp)
    fields = {
        "access_key": access_key,
        "sample_bytes": str(len(sample)),
        "timestamp": moment,
        "signature": signature(access_key, access_secret, data_type, moment),
        "data_type": data_type,
        "signature_version": SIGNATURE_VERSION,
    }
    return multipart(fields, {"sample": ("sample", sample)})


# --- Reading an answer --- ---------------------------------------------------------------------------


def parse_matches(answer: Fetched, *, sample_seconds: float, start_seconds: float) -> Sequence[Match]:
    """The song found, or none. `start_seconds` is the sample's position in the recording.

    Raises ProviderError, or TwitchAudioError `no-audio` for a silent sample.
    """
    body = parse_object(answer.body)
    status = first(body, "status")
    code = integer(status.get("code"))
    if body is None or code is None:
        raise no_answer(NAME, answer, key=_KEY)
    if code == 1001:
        return ()
    if code != 0:
        raise error_of_code(code, text(status.get("msg")) or "")
    best = _best(first(body, "metadata"))
    if best is None:
        raise transient(NAME, f"{NAME} says that it found a song, and names none.", provider_code=0)
    track, score = best
    return (Match(song=_song(track, sample_seconds, start_seconds), score=score),)


def error_of_code(code: int, message: str) -> TwitchAudioError:  # noqa: PLR0911 - one case for each thing to tell apart
    """The error for a status code other than 0 and 1001."""
    match code:
        case 2004:
            return no_audio("ACRCloud could make no fingerprint of it")
        case 2005:
            late = transient(NAME, f"{NAME} did not finish in time.", provider_code=code)
            late.code = ProblemCode.TIMEOUT
            return late
        case 2000 | 2001 | 3001:
            return refused_key(NAME, _KEY, provider_code=code)
        case 3014:
            return refused_key(NAME, _SIGNATURE, provider_code=code)
        case 2002 | 2003 | 3000 | 3011:
            return transient(NAME, f"{NAME} has trouble of its own ({code}).", provider_code=code)
        case 3002 | 3006 | 3016:
            return ProviderError(
                NAME, FailureKind.REQUEST, f"{NAME} does not understand our question ({code}).", provider_code=code
            )
        case 3003:
            return ProviderError(
                NAME,
                FailureKind.QUOTA,
                f"The questions of our {NAME} project are used up.",
                retry_after_seconds=900.0,
                provider_code=code,
            )
        case 3015 if _speaks_of_rates(message):
            return too_often(NAME, provider_code=code)
        case 3015:
            return no_audio("ACRCloud could make no fingerprint of it")
        case code if 2000 <= code < 3000:
            return no_audio(f"ACRCloud could not read the sample ({code})")
        case _:
            return transient(NAME, f"{NAME} refuses to answer ({code}).", provider_code=code)


def _speaks_of_rates(message: str) -> bool:
    lower = message.lower()
    return "qps" in lower or "limit" in lower


# --- Songs --------------------------------------------------------------------------------------------


def _best(metadata: Object) -> tuple[Object, float] | None:
    """The match with the highest score: from the database, else from the operator's own files, else from humming.

    The same recording is often listed once for each release: of equal scores, the one with most ids wins.
    """
    for kind in ("music", "custom_files", "humming"):
        tracks = [track for track in objects(metadata.get(kind)) if text(track.get("title"))]
        if tracks:
            best = max(tracks, key=lambda track: (_score(track), _count(_ids(track)), len(_artists(track))))
            return best, _score(best)
    return None


def _score(track: Object) -> float:
    """The score as 0 to 1; ACRCloud scores music up to 100 and humming up to 1."""
    score = number(track.get("score"))
    if score is None:
        return 0.7  # the least that ACRCloud calls a match
    return round(min(1.0, max(0.0, score if score <= 1.0 else score / 100.0)), 4)


def _count(ids: ExternalIds) -> int:
    return sum(value is not None for value in (ids.spotify_track, ids.youtube, ids.deezer_track))


def _song(track: Object, sample_seconds: float, start_seconds: float) -> Song:
    duration = number(track.get("duration_ms"))
    # Where in the song the sample ends.
    end = number(track.get("play_offset_ms"))
    return Song(
        title=text(track.get("title")) or "",
        artists=_artists(track),
        album=text(first(track, "album").get("name")) or text(track.get("album")),
        label=text(track.get("label")),
        isrc=text(first(track, "external_ids").get("isrc")) or text(track.get("isrc")),
        release_date=text(track.get("release_date")),
        duration_seconds=None if not duration or duration < 0 else round(duration / 1000, 3),
        offset_seconds=None if end is None else round(max(0.0, end / 1000 - sample_seconds), 3),
        position_seconds=round(start_seconds, 3),
        ids=_ids(track),
    )


def _artists(track: Object) -> tuple[str, ...]:
    """The artists' names in order; the operator's own files have one text instead."""
    named = texts(track.get("artists"), "name")
    single = text(track.get("artist")) or text(track.get("artists"))
    return named or ((single,) if single else ())


def _ids(track: Object) -> ExternalIds:
    external: Mapping[str, object] = first(track, "external_metadata")
    spotify, deezer, youtube = (first(external.get(name)) for name in ("spotify", "deezer", "youtube"))
    return ExternalIds(
        spotify_track=text(first(spotify, "track").get("id")),
        spotify_album=text(first(spotify, "album").get("id")),
        spotify_artists=texts(spotify.get("artists"), "id"),
        youtube=text(youtube.get("vid")),
        deezer_track=text(first(deezer, "track").get("id")),
        deezer_album=text(first(deezer, "album").get("id")),
        deezer_artists=texts(deezer.get("artists"), "id"),
        apple_music=text(first(external.get("apple_music"), "track").get("id")),
    )
