"""The button of `/admin/recognizers`: asks one recognizer about a sound that this server makes.

The catalog is asked about a piece of its own first track, drawn as tones from the track's fingerprint, so that it
has to name that track. The others are asked about a few notes that no service knows: that they found nothing is
the right answer, and says that keys, network and budget are in order.
"""

import asyncio
import dataclasses
import time
from collections.abc import Sequence
from typing import Final

import numpy as np
from aiohttp import web
from numpy.typing import NDArray

from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.ports import Recognition
from fingerprint.recognizers import REGISTRY, chosen_names
from fingerprint.recognizers.chain import RecognizerChain
from fingerprint.wiring import open_members
from server import keys
from server.web.admin.sections import Change, Form

SECONDS: Final = 8.0
"""The length of the sound."""

WAIT_SECONDS: Final = 20.0
"""How long the page waits for the answer."""

_BURST: Final = 0.05
_NOTES: Final = (220.0, 277.2, 329.6, 440.0, 370.0, 293.7, 246.9, 392.0)
_NOTE_SECONDS: Final = 0.5


class RecognizerTrials:
    """Asks recognizers for an operator, one at a time."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._asking = asyncio.Lock()

    async def change(self, form: Form) -> Change:
        """Ask the recognizer that a form names. Raises TwitchAudioError: why it gave no answer."""
        name = form.text("recognizer")
        settings = self._app[keys.SETTINGS].pipeline
        if name not in chosen_names(settings):
            raise invalid_input("The form names no recognizer that this server asks.")
        if not REGISTRY[name].free and form.text("paid") != "yes":
            raise invalid_input(f"A question to {name} may cost money: confirm it first. Nothing was asked.")
        if self._asking.locked():
            raise TwitchAudioError(
                ProblemCode.BUSY, "Another test is still running.", retry_after_seconds=WAIT_SECONDS
            )
        async with self._asking:
            track, sound = await asyncio.to_thread(self._sound, name)
            began = time.perf_counter()
            answer = await self._ask(name, sound)
            return Change(message=self._text(name, answer, track, time.perf_counter() - began))

    async def _ask(self, name: str, sound: Recording) -> Recognition:
        settings = dataclasses.replace(self._app[keys.SETTINGS].pipeline, recognizers=(name,))
        try:
            async with (
                asyncio.timeout(WAIT_SECONDS),
                open_members(settings, guards=self._app[keys.PROVIDERS]) as members,
                RecognizerChain(members) as chain,
            ):
                return await chain.identify(sound, lambda _stage: None)
        except TimeoutError as error:
            detail = f"{name} did not answer within {WAIT_SECONDS:.0f} s."
            raise TwitchAudioError(ProblemCode.TIMEOUT, detail) from error

    def _sound(self, name: str) -> tuple[Track | None, Recording]:
        """What is asked about, and the track that it is a piece of. Blocks."""
        if name == "catalog":
            for live in Catalogs(self._app[keys.SETTINGS].pipeline.catalog_dirs).snapshot().segments:
                for number in np.flatnonzero(live.alive)[:1].tolist():
                    sound = tones_of_peaks(*live.segment.peaks(number))
                    return live.track(number), _recording(sound)
        return None, _recording(notes())

    def _text(self, name: str, answer: Recognition, track: Track | None, seconds: float) -> str:
        songs = answer.matches
        if songs:
            song = songs[0].song
            found = f"named {' - '.join(filter(None, (', '.join(song.artists), song.title)))}, "
            found += f"{songs[0].score:.0%} sure"
        else:
            found = "found no song"
        if track is not None:
            right = bool(songs) and songs[0].song.catalog is not None
            found += "" if right else f", though the sound is a piece of {track.title}"
        elif not songs:
            found += ", which is right: the sound is made for this test"
        price = self._app[keys.SETTINGS].pipeline.providers.prices.get(name)
        cost = f"One question, worth {price}." if price is not None else "One question of its budget."
        return f"{name} {found}, in {seconds:.2f} s. {'It costs nothing.' if REGISTRY[name].free else cost}"


def tones_of_peaks(frames: NDArray[np.int64], bins: NDArray[np.int64]) -> NDArray[np.float32]:
    """Sound that has its spectrogram's peaks where a track has them: a short tone for each. Of shape (n,).

    It begins where the track's first peak is, or a fifth into the track if that is long.
    """
    start = max(int(frames[0]), int(frames[-1]) // 5) if len(frames) else 0
    sound = np.zeros(int(SECONDS * SAMPLE_RATE), np.float32)
    per_frame = DEFAULT.hop * SAMPLE_RATE / DEFAULT.rate
    length = int(_BURST * SAMPLE_RATE)
    window = np.hanning(length).astype(np.float32)
    steps = np.arange(length) / SAMPLE_RATE
    center = DEFAULT.window / 2 * SAMPLE_RATE / DEFAULT.rate
    for frame, place in zip(frames, bins, strict=True):
        at = int((frame - start) * per_frame + center) - length // 2
        if 0 <= at <= len(sound) - length:
            tone = np.sin(2 * np.pi * place * DEFAULT.rate / DEFAULT.window * steps)
            sound[at : at + length] += window * tone.astype(np.float32)
    return _scaled(sound)


def notes() -> NDArray[np.float32]:
    """A few notes that fade, with overtones and a little noise. Of shape (n,)."""
    noise = np.random.default_rng(7).standard_normal(int(SECONDS * SAMPLE_RATE)).astype(np.float32)
    steps = np.arange(int(_NOTE_SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    played: Sequence[NDArray[np.float64]] = [
        sum(np.sin(2 * np.pi * note * part * steps) / part for part in (1, 2, 3)) * np.exp(-4 * steps)
        for note in np.resize(_NOTES, int(SECONDS / _NOTE_SECONDS))
    ]
    return _scaled((np.concatenate(played) + 0.02 * noise).astype(np.float32))


def _scaled(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    return (0.8 * sound / max(float(np.abs(sound).max()), 1e-9)).astype(np.float32)


def _recording(sound: NDArray[np.float32]) -> Recording:
    return Recording(pcm=Pcm(sound[None, :], SAMPLE_RATE))
