"""AudD: the recognizer that asks its API (multipart forms with a token)."""

from collections.abc import Sequence
from typing import Final

from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.links import ids_of_link
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.media.fetch import Fetched
from fingerprint.media.pcm import no_audio
from fingerprint.ports import Match
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.errors import FailureKind, ProviderError, no_answer, refused_key, too_often, transient
from fingerprint.providers.multipart import multipart
from fingerprint.providers.reading import Object, first, integer, number, parse_object, text, texts
from fingerprint.providers.samples import WaveSample, wave_sample
from fingerprint.settings import Secret

NAME: Final = "AudD"
METADATA: Final = "apple_music,spotify,deezer"

_TOKEN: Final = f"{NAME} does not take our token: the operator should check AUDD_API_TOKEN."

UNSCORED: Final = 0.9
"""The score of every answer: AudD sends none, and answers only when it is sure."""


class AuddRecognizer:
    """A `Recognizer[WaveSample]` that asks AudD about a few seconds of sound."""

    def __init__(self, calls: ProviderCalls, url: URL, *, api_token: Secret) -> None:
        self._calls = calls
        self._url = url
        self._api_token = api_token

    @property
    def name(self) -> str:
        return "audd"

    async def unavailable_reason(self) -> str | None:
        """Always None: a token is configured, and only a question shows whether it is valid."""
        return None

    def prepare(self, recording: Recording) -> WaveSample:
        """A WAV file of the recording; of a long recording, the loudest 12 s.

        Raises TwitchAudioError `no-audio` for silence, which is never sent.
        """
        return wave_sample(recording)

    async def recognize(self, query: WaveSample) -> Sequence[Match]:
        """The song found, or none. Raises ProviderError, or TwitchAudioError `no-audio`."""
        return await self._calls.with_retry(lambda: self._ask(query))

    async def _ask(self, query: WaveSample) -> Sequence[Match]:
        headers, body = build_request(query.wave, api_token=self._api_token.reveal())
        answer = await self._calls.post(NAME, self._url, body, headers=headers)
        return parse_matches(answer, start_seconds=query.start_seconds)


def build_request(sample: bytes, *, api_token: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a request about a sound file."""
    return multipart({"api_token": api_token, "return": METADATA}, {"file": ("sample.wav", sample)})


def parse_matches(answer: Fetched, *, start_seconds: float) -> Sequence[Match]:
    """The song found, or none. `start_seconds` is the sample's position in the recording.

    Raises ProviderError, or TwitchAudioError `no-audio` for a sample in which AudD hears nothing.
    """
    body = parse_object(answer.body)
    if body is None:
        raise no_answer(NAME, answer, key=_TOKEN)
    result: object = body.get("result")
    error = first(body, "error")
    code = integer(error.get("error_code"))
    # 51 is a warning; the answer may be present nevertheless.
    if body.get("status") == "error" and not (code == 51 and result is not None):
        if code == 907:
            return ()
        raise error_of_code(code, answer)
    if body.get("status") not in ("success", "error"):
        raise no_answer(NAME, answer, key=_TOKEN)
    if result is None:
        return ()
    found = first(result)
    if text(found.get("title")) is None:
        raise transient(NAME, f"{NAME} says that it found a song, and names none.")
    score = number(found.get("score"))
    sure = UNSCORED if score is None else min(1.0, max(0.0, score / 100.0))
    return (Match(song=_song(found, start_seconds), score=round(sure, 4)),)


def error_of_code(code: int | None, answer: Fetched) -> TwitchAudioError:  # noqa: PLR0911 - as many things to tell apart
    """The error for an AudD error code."""
    match code:
        case 900 | 901 | 903:
            return refused_key(NAME, _TOKEN, provider_code=code)
        case 902:
            return ProviderError(
                NAME,
                FailureKind.QUOTA,
                f"The questions of our {NAME} account are used up.",
                retry_after_seconds=900.0,
                provider_code=code,
            )
        case 904 | 905 | 31337:
            return _refused(code)
        case 50 | 51 | 600 | 601 | 602 | 700 | 701 | 702 | 906 | 20 | 610:
            return ProviderError(
                NAME, FailureKind.REQUEST, f"{NAME} does not understand our question ({code}).", provider_code=code
            )
        case 300 | 400 | 500:
            return no_audio(f"AudD could not hear the sample ({code})")
        case 611:
            return too_often(NAME, provider_code=code)
        case int() if str(code).startswith("19"):
            return _refused(code)
        case _ if answer.status == 429:
            return too_often(NAME, provider_code=code, retry_after=answer.retry_after)
        case _:
            return transient(NAME, f"{NAME} has trouble of its own ({code}).", provider_code=code)


def _refused(code: int) -> ProviderError:
    """The error when the account is blocked or its plan does not include the request."""
    return ProviderError(
        NAME,
        FailureKind.CONFIGURATION,
        f"{NAME} does not serve our account ({code}): the operator should look at its dashboard.",
        retry_after_seconds=60.0,
        provider_code=code,
    )


# --- Songs --------------------------------------------------------------------------------------------


def _song(found: Object, start_seconds: float) -> Song:
    apple, spotify, deezer = (first(found.get(name)) for name in ("apple_music", "spotify", "deezer"))
    artist = text(found.get("artist"))
    named = texts(spotify.get("artists"), "name") or texts(deezer.get("contributors"), "name")
    return Song(
        title=text(found.get("title")) or "",
        artists=named or ((artist,) if artist else ()),
        album=text(found.get("album")),
        label=text(found.get("label")),
        isrc=text(found.get("isrc"))
        or text(apple.get("isrc"))
        or text(first(spotify, "external_ids").get("isrc"))
        or text(deezer.get("isrc")),
        release_date=text(found.get("release_date")),
        duration_seconds=_duration(apple, spotify, deezer),
        offset_seconds=_seconds(text(found.get("timecode"))),
        position_seconds=round(start_seconds, 3),
        ids=_ids(found, apple, spotify, deezer),
    )


def _duration(apple: Object, spotify: Object, deezer: Object) -> float | None:
    for milliseconds in (spotify.get("duration_ms"), apple.get("durationInMillis")):
        found = number(milliseconds)
        if found is not None and found > 0:
            return round(found / 1000, 3)
    seconds = number(deezer.get("duration"))
    return seconds if seconds is not None and seconds > 0 else None


def _seconds(timecode: str | None) -> float | None:
    """The seconds in a timecode `mm:ss` or `h:mm:ss`, or None when malformed."""
    parts = (timecode or "").split(":")
    if len(parts) not in (2, 3) or not all(
        part.isascii() and part.isdecimal() and len(part) < 4 for part in parts
    ):
        return None
    total = 0
    for part in parts:
        total = 60 * total + int(part)
    return float(total)


def _ids(found: Object, apple: Object, spotify: Object, deezer: Object) -> ExternalIds:
    contributors = texts(deezer.get("contributors"), "id")
    artist = text(first(deezer, "artist").get("id"))
    ids = ExternalIds(
        spotify_track=text(spotify.get("id")),
        spotify_album=text(first(spotify, "album").get("id")),
        spotify_artists=texts(spotify.get("artists"), "id"),
        deezer_track=text(deezer.get("id")),
        deezer_album=text(first(deezer, "album").get("id")),
        deezer_artists=contributors or ((artist,) if artist else ()),
        apple_music=text(first(apple, "playParams").get("id")),
    )
    for link in (apple.get("url"), found.get("song_link")):
        ids = ids.filled(ids_of_link(text(link) or "") or ExternalIds())
    return ids
