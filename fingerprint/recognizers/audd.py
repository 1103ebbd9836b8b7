"""AudD: the recognizer that asks its API (multipart forms with a token)."""

from collections.abc import Sequence
from typing import Final

from yarl import URL

from fingerprint.catalog.song_tags import Tags, over
from fingerprint.domain.audio import Recording
from fingerprint.domain.credits import Release, ReleaseKind, credits_of, release_orders
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.domain.links import ids_of_link
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.media.fetch import Fetched
from fingerprint.media.pcm import no_audio
from fingerprint.ports import Match
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
from fingerprint.providers.placement import clock_seconds, place
from fingerprint.providers.reading import (
    Object,
    artists,
    date,
    first,
    integer,
    isrc,
    number,
    parse_object,
    score,
    text,
    texts,
)
from fingerprint.providers.samples import WaveSample, wave_sample
from fingerprint.providers.uploads import NO_UPLOADS, Uploads, UploadTable
from fingerprint.setting_formats import Secret

NAME: Final = "AudD"
METADATA: Final = "apple_music,spotify,deezer"

_TOKEN: Final = f"{NAME} does not take our token: the operator should check AUDD_API_TOKEN."

UNSCORED: Final = 0.9
"""The score of every answer: AudD sends none, and answers only when it is sure."""


class AuddRecognizer:
    """A `Recognizer[WaveSample]` that asks AudD about a few seconds of sound.

    `uploads` names the operator's own uploads.
    """

    def __init__(
        self, calls: ProviderCalls, url: URL, *, api_token: Secret, uploads: UploadTable | None = None
    ) -> None:
        self._calls = calls
        self._url = url
        self._api_token = api_token
        self._uploads = uploads

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
        if self._uploads is not None:
            self._uploads.refresh()
        return wave_sample(recording)

    async def recognize(self, query: WaveSample) -> Sequence[Match]:
        """The song found, or none. Raises ProviderError, or TwitchAudioError `no-audio`."""
        return await self._calls.with_retry(lambda: self._ask(query))

    async def _ask(self, query: WaveSample) -> Sequence[Match]:
        headers, body = build_request(query.wave, api_token=self._api_token.reveal())
        answer = await self._calls.post(NAME, self._url, body, headers=headers)
        uploads = NO_UPLOADS if self._uploads is None else self._uploads.uploads
        return parse_matches(answer, start_seconds=query.start_seconds, uploads=uploads)


def build_request(sample: bytes, *, api_token: str) -> tuple[dict[str, str], bytes]:
    """The headers and the body of a request about a sound file."""
    return multipart({"api_token": api_token, "return": METADATA}, {"file": ("sample.wav", sample)})


def parse_matches(answer: Fetched, *, start_seconds: float, uploads: Uploads = NO_UPLOADS) -> Sequence[Match]:
    """The song found, or none. `start_seconds` is the sample's position in the recording.

    `uploads` names the operator's own uploads. Raises ProviderError, or TwitchAudioError `no-audio` for a sample
    in which AudD hears nothing.
    """
    body = parse_object(answer.body)
    if body is None:
        raise no_answer(NAME, answer, key=_TOKEN)
    result: object = body.get("result")
    error = first(body, "error")
    code = integer(error.get("error_code"))
    # An error counts whatever the status says; 51 is a warning, beside which the result may be present.
    failed = body.get("status") == "error" or (code is not None and result is None)
    if failed and not (code == 51 and result is not None):
        if code == 907:
            return ()
        raise error_of_code(code, answer)
    if body.get("status") not in ("success", "error"):
        raise no_answer(NAME, answer, key=_TOKEN)
    if result is None or result == []:
        return ()
    found = first(result)
    named = _recorded(found) or _uploaded(found, uploads)
    if named is None:
        raise nameless(NAME)
    where = place(clock_seconds(found.get("timecode")), duration=_duration(found), start=start_seconds)
    song = Song(title=named.title or "", **named.metadata, **where)
    return (Match(song=song, score=_score(found)),)


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
            told = "" if code is None else f" ({code})"
            return transient(NAME, f"{NAME} has trouble of its own{told}.", provider_code=code)


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


def _recorded(found: Object) -> Tags | None:
    """What an answer says about a song, or None when it has no title; services name what AudD does not."""
    apple, spotify, deezer = _blocks(found)
    titles = (found.get("title"), spotify.get("name"), deezer.get("title"), apple.get("name"))
    title = next((said for each in titles if (said := text(each))), None)
    if title is None:
        return None
    # A list of names is surer than one text that holds all.
    lists = (spotify.get("artists"), deezer.get("contributors"), found.get("artist"), apple.get("artistName"))
    named = next((names for each in lists if (names := artists(each))), ())
    credit = credits_of(title, named)
    album, release_date = _release(found, title, apple, spotify, deezer)
    return Tags(
        title=credit.title,
        artists=credit.artists,
        album=album,
        label=text(found.get("label")),
        isrc=isrc(
            found.get("isrc"), apple.get("isrc"), first(spotify, "external_ids").get("isrc"), deezer.get("isrc")
        ),
        release_date=release_date,
        ids=_ids(found, apple, spotify, deezer),
    )


def _uploaded(found: Object, uploads: Uploads) -> Tags | None:
    """One of the operator's own uploads, of which AudD tells a number only; None for another answer."""
    number_of = text(found.get("audio_id"))
    if number_of is None:
        return None
    told = Tags(title=f"{NAME} upload {number_of}", artists=artists(found.get("artist")))
    known = uploads.get(number_of)
    return told if known is None else over(told, known)


def _score(found: Object) -> float:
    """The score as 0 to 1; AudD's is of 100, and fractions are of 1."""
    told = score(found.get("score"))
    return UNSCORED if told is None else told


def _blocks(found: Object) -> tuple[Object, Object, Object]:
    """What Apple Music, Spotify and Deezer say about the song."""
    return first(found.get("apple_music")), first(found.get("spotify")), first(found.get("deezer"))


def _release(
    found: Object, title: str, apple: Object, spotify: Object, deezer: Object
) -> tuple[str | None, str | None]:
    """The album and its date: AudD's own, unless that is a compilation and a service knows the song's album."""
    of_spotify, of_deezer = first(spotify, "album"), first(deezer, "album")
    told = Release(title=title, album=text(found.get("album")), date=date(found.get("release_date")))
    others = [
        Release(
            title=title,
            album=text(of_spotify.get("name")),
            date=date(of_spotify.get("release_date")),
            album_artists=artists(of_spotify.get("artists")),
            kind=text(of_spotify.get("album_type")),
        ),
        Release(title=title, album=text(apple.get("albumName")), date=date(apple.get("releaseDate"))),
        Release(title=title, album=text(of_deezer.get("title")), date=date(deezer.get("release_date"))),
    ]
    releases = [told, *(other for other in others if other.album is not None)]
    own, *rest = orders = release_orders(releases)
    if told.album is None or own[1] < ReleaseKind.COMPILATION or not rest:
        return told.album, told.date
    best = releases[orders.index(min(orders))]
    return best.album, best.date


def _duration(found: Object) -> float | None:
    apple, spotify, deezer = _blocks(found)
    for milliseconds in (spotify.get("duration_ms"), apple.get("durationInMillis")):
        told = number(milliseconds)
        if told is not None and told > 0:
            return told / 1000
    seconds = number(deezer.get("duration"))
    return seconds if seconds is not None and seconds > 0 else clock_seconds(found.get("song_length"))


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
