"""The recognizer that asks Shazam's private service through PyPI's `shazamio`, an optional extra.

Unofficial: Shazam has not approved its use, and it may stop working any day. So it is asked only if the operator
names it in TWITCHAUDIO_RECOGNIZERS. The library computes the signature; requests go through our own bounded
connections.

The form of its answers is undocumented: everything in them is optional.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from yarl import URL

from fingerprint.domain.audio import Recording
from fingerprint.domain.credits import credits_of
from fingerprint.domain.identification import ExternalIds, Song
from fingerprint.ports import Match
from fingerprint.providers.calls import ProviderCalls
from fingerprint.providers.errors import FailureKind, ProviderError, nameless, transient
from fingerprint.providers.placement import place
from fingerprint.providers.reading import Object, artists, first, number, objects, parse_object, text
from fingerprint.providers.samples import WaveSample, wave_sample

INSTALL: Final = "shazamio is not installed: pip install 'twitchaudio[shazam]'."
NAME: Final = "Shazam"

UNSCORED: Final = 0.9
"""The score of every answer: the service sends none."""


class ShazamRecognizer:
    """A `Recognizer[WaveSample]` that asks Shazam about a few seconds of sound."""

    def __init__(self, calls: ProviderCalls, base: URL) -> None:
        self._client = _Client(calls, base)

    @property
    def name(self) -> str:
        return "shazam"

    async def unavailable_reason(self) -> str | None:
        """One sentence when shazamio is not installed; otherwise None."""
        return INSTALL if find_spec("shazamio") is None else None

    def prepare(self, recording: Recording) -> WaveSample:
        """A WAV file of the recording; of a long recording, the loudest 12 s.

        Raises TwitchAudioError `no-audio` for silence, which is never sent.
        """
        sample = wave_sample(recording)
        # Importing the library takes a while; this runs in a thread.
        _ = self._shazam
        return sample

    async def recognize(self, query: WaveSample) -> Sequence[Match]:
        """The song found, or none. Raises ProviderError."""
        answer: Object = await self._shazam.recognize(query.wave)
        return parse_matches(answer, start_seconds=query.start_seconds)

    @cached_property
    def _shazam(self) -> Any:
        return import_module("shazamio").Shazam(http_client=self._client)


class _Client:
    """The HTTP client that shazamio sends its requests with, in place of its own."""

    def __init__(self, calls: ProviderCalls, base: URL) -> None:
        self._calls = calls
        self._base = base

    async def request(self, method: str, url: str, **more: Any) -> Object:
        """The JSON object in the service's response. Raises ProviderError."""
        if method.upper() != "POST":
            raise ValueError(f"{method} is not how a song is asked for")
        asked = URL(url, encoded=True)
        address = self._base.join(asked.relative())
        # The library's headers identify the client; ours describe the body.
        headers = {**more.get("headers", {}), "Content-Type": "application/json"}
        headers.pop("Accept-Encoding", None)
        body = json.dumps(more.get("json")).encode()
        answer = await self._calls.post(NAME, address, body, headers=headers)
        if answer.status == 429:
            detail = f"{NAME} is asked too much at a time."
            raise ProviderError(NAME, FailureKind.RATE, detail, retry_after_seconds=30.0)
        if answer.status != 200:
            raise transient(NAME, f"{NAME} answers with the status {answer.status}.")
        found = parse_object(answer.body)
        if found is None:
            raise transient(NAME, f"{NAME} answers with something that cannot be read.")
        return found


def parse_matches(body: Object, *, start_seconds: float) -> Sequence[Match]:
    """The song found, or none. Raises ProviderError for a malformed answer."""
    if "matches" not in body and "track" not in body:
        raise transient(NAME, f"{NAME} answers with something that cannot be read.")
    track = first(body, "track")
    if not objects(body.get("matches")):
        return ()
    if text(track.get("title")) is None:
        raise nameless(NAME)
    credit = credits_of(text(track.get("title")) or "", artists(track.get("subtitle")))
    offsets = (number(match.get("offset")) for match in objects(body.get("matches")))
    facts = _facts(track)
    song = Song(
        title=credit.title,
        artists=credit.artists,
        album=facts.get("album"),
        label=facts.get("label"),
        isrc=text(track.get("isrc")),
        release_date=text(track.get("releasedate")) or facts.get("released"),
        ids=ExternalIds(apple_music=_apple_music(track)),
        **place(next((each for each in offsets if each is not None), None), duration=None, start=start_seconds),
    )
    return (Match(song=song, score=UNSCORED),)


def _facts(track: Object) -> dict[str, str]:
    """The album, label and year in the answer's table for people."""
    found: dict[str, str] = {}
    for section in objects(track.get("sections")):
        for row in objects(section.get("metadata")):
            name, value = text(row.get("title")), text(row.get("text"))
            if name and value:
                found.setdefault(name.lower(), value)
    return found


def _apple_music(track: Object) -> str | None:
    for action in objects(first(track, "hub").get("actions")):
        identifier = text(action.get("id"))
        if action.get("type") == "applemusicplay" and identifier and identifier.isdecimal():
            return identifier
    return None
