"""ACRCloud: the recognizer that asks its identification API, version 1 (HMAC-signed multipart forms)."""

import base64
import hashlib
import hmac
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from yarl import URL

from fingerprint.catalog.song_tags import Tags, over
from fingerprint.domain.audio import Recording
from fingerprint.domain.credits import Release, credits_of
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.fetch import Fetched
from fingerprint.media.pcm import no_audio
from fingerprint.ports import Match
from fingerprint.providers.acrcloud_extractor import Extract, ExtractorMissingError, load_extractor
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.errors import (
    FailureKind,
    ProviderError,
    nameless,
    no_answer,
    refused_key,
    too_often,
    transient,
)
from fingerprint.providers.multipart import multipart
from fingerprint.providers.placement import aligned_offset, place
from fingerprint.providers.reading import (
    Object,
    artists,
    date,
    first,
    get_any,
    integer,
    isrc,
    merged,
    number,
    objects,
    parse_object,
    score,
    text,
    texts,
)
from fingerprint.providers.releases import ListedMatch, best_match
from fingerprint.providers.samples import narrow_samples, narrow_wave, sample_of
from fingerprint.providers.uploads import NO_UPLOADS, Uploads, UploadTable
from fingerprint.setting_formats import Secret

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
    is loaded when the first recording is prepared; when it is missing, that is logged once. `uploads` names the
    operator's own uploads.
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
        uploads: UploadTable | None = None,
    ) -> None:
        self._calls = calls
        self._url = base / PATH.lstrip("/")
        self._access_key = access_key
        self._access_secret = access_secret
        self._send = send
        self._load = load
        self._uploads = uploads
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
        if self._uploads is not None:
            self._uploads.refresh()
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
        uploads = NO_UPLOADS if self._uploads is None else self._uploads.uploads
        return parse_matches(
            answer, sample_seconds=query.seconds, start_seconds=query.start_seconds, uploads=uploads
        )

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


def parse_matches(
    answer: Fetched, *, sample_seconds: float, start_seconds: float, uploads: Uploads = NO_UPLOADS
) -> Sequence[Match]:
    """The song found, or none. `start_seconds` is the sample's position in the recording.

    `uploads` names the operator's own uploads. Raises ProviderError, or TwitchAudioError `no-audio` for a silent
    sample.
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
    metadata = merged(body.get("metadata"))
    listed = [
        match
        for kind in KINDS
        for track in objects(metadata.get(kind))
        if (match := _listed(track, kind, sample_seconds, start_seconds, uploads)) is not None
    ]
    best = best_match(listed)
    if best is not None:
        return (best,)
    if any(map(objects, metadata.values())) and not any(objects(metadata.get(kind)) for kind in KINDS):
        # Other lists, such as of songs that are hummed alike, or of covers: no recording was recognized.
        return ()
    raise nameless(NAME, provider_code=0)


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

KINDS: Final = ("music", "custom_files")
"""The lists of matches that are read: of ACRCloud's database, and of the operator's own uploads."""

UNSCORED: Final = 0.7
"""The score of a match without one: the least that ACRCloud calls a match."""


def _listed(
    track: Object, kind: str, sample_seconds: float, start_seconds: float, uploads: Uploads
) -> ListedMatch | None:
    """A listed match; None for one that has no title and cannot be named."""
    album = first(track, "album")
    named = _uploaded(track, uploads) if kind == "custom_files" else _recorded(track, album)
    if named is None:
        return None
    duration = _seconds(track.get("duration_ms"))
    offset = _offset(track, duration, sample_seconds)
    song = Song(title=named.title or "", **named.metadata, **place(offset, duration=duration, start=start_seconds))
    release = Release(
        title=song.title,
        album=song.album,
        date=song.release_date,
        album_artists=artists(album.get("artists")),
        kind=text(get_any(album, "type", "albumtype")),
    )
    return ListedMatch(Match(song=song, score=_score(track, kind)), release)


def _recorded(track: Object, album: Object) -> Tags | None:
    title = text(track.get("title"))
    if title is None:
        return None
    credit = credits_of(title, artists(track.get("artists")) or artists(track.get("artist")))
    return Tags(
        title=credit.title,
        artists=credit.artists,
        album=text(album.get("name")) or text(album.get("title")) or text(track.get("album")),
        label=text(track.get("label")),
        isrc=isrc(merged(track.get("external_ids")).get("isrc"), track.get("isrc")),
        release_date=date(track.get("release_date")),
        ids=_ids(track),
    )


def _uploaded(track: Object, uploads: Uploads) -> Tags:
    """One of the operator's own uploads: named by the table, by the answer's fields, or by its number."""
    ids = [found for name in ("acrid", "audio_id") if (found := text(track.get(name)))]
    fields = merged(track, track.get("user_defined"), track.get("custom_fields"))
    title = text(get_any(fields, "title", "tracktitle", "track", "songtitle", "song", "name"))
    credit = credits_of(title or "", artists(get_any(fields, "artists", "artist", "artistname", "performer")))
    album = get_any(fields, "album", "albumname", "albumtitle")
    told = Tags(
        title=credit.title or f"{NAME} upload {ids[-1] if ids else ''}".strip(),
        artists=credit.artists,
        album=text(first(album).get("name")) or text(album),
        label=text(get_any(fields, "label", "publisher")),
        isrc=isrc(merged(track.get("external_ids")).get("isrc"), get_any(fields, "isrc")),
        release_date=date(get_any(fields, "releasedate", "date", "year")),
        ids=_ids(track),
    )
    known = next((uploads[each] for each in ids if each in uploads), None)
    return told if known is None else over(told, known)


def _score(track: Object, kind: str) -> float:
    """The score as 0 to 1. ACRCloud's is of 100; fractions are of 1, and so is 1 for an upload."""
    told = score(track.get("score"), one_is_all=kind == "custom_files")
    return UNSCORED if told is None else told


def _offset(track: Object, duration: float | None, sample_seconds: float) -> float | None:
    """How far into the song the sample begins, in seconds; negative when the song begins within it.

    Exact where the answer aligns a moment in the song with one in the sample. `play_offset_ms` is only about where
    the sample ends in the song.
    """
    begins, ends = (
        (_seconds(track.get(f"db_{end}_time_offset_ms")), _seconds(track.get(f"sample_{end}_time_offset_ms")))
        for end in ("begin", "end")
    )
    for song, sample in (begins, ends):
        offset = aligned_offset(song, sample, duration=duration, sample_seconds=sample_seconds)
        if offset is not None:
            return offset
    played = _seconds(track.get("play_offset_ms"))
    if played is not None and played >= 0:
        return played - sample_seconds
    return aligned_offset(begins[0], 0.0, duration=duration, sample_seconds=sample_seconds)


def _seconds(milliseconds: object) -> float | None:
    found = number(milliseconds)
    return None if found is None else found / 1000


def _ids(track: Object) -> ExternalIds:
    external = merged(track.get("external_metadata"))
    spotify, deezer, youtube = (first(external.get(name)) for name in ("spotify", "deezer", "youtube"))
    return ExternalIds(
        spotify_track=text(first(spotify, "track").get("id")),
        spotify_album=text(first(spotify, "album").get("id")),
        spotify_artists=texts(spotify.get("artists"), "id"),
        youtube=text(youtube.get("vid")) or text(external.get("youtube")),
        deezer_track=text(first(deezer, "track").get("id")),
        deezer_album=text(first(deezer, "album").get("id")),
        deezer_artists=texts(deezer.get("artists"), "id"),
        apple_music=text(first(external.get("apple_music"), "track").get("id")),
    )
