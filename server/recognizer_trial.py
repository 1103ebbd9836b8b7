"""Asks one recognizer about a sound that is made here: the test button's question, and `twitchaudio doctor`'s.

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
from numpy.random import default_rng
from numpy.typing import NDArray

from fingerprint.catalog.catalogs import Catalogs
from fingerprint.catalog.parameters import DEFAULT
from fingerprint.catalog.tracks import Track
from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Recognition
from fingerprint.providers.guard import ProviderGuards
from fingerprint.recognizers.chain import RecognizerChain
from fingerprint.wiring import open_members

SECONDS: Final = 8.0
"""The length of the sound."""

_BURST: Final = 0.05
_NOTES: Final = (220.0, 277.2, 329.6, 440.0, 370.0, 293.7, 246.9, 392.0)
_NOTE_SECONDS: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class TrialAnswer:
    """What a recognizer said to the sound. `asked_about` is the track that the sound is a piece of, if any."""

    name: str
    recognition: Recognition
    asked_about: Track | None
    seconds: float

    @property
    def as_it_should(self) -> bool:
        """Whether the catalog named one of its tracks; of the others, that they answered is enough."""
        songs = self.recognition.matches
        return self.asked_about is None or (bool(songs) and songs[0].song.catalog is not None)

    def __str__(self) -> str:
        songs = self.recognition.matches
        if songs:
            song = songs[0].song
            found = f"named {' - '.join(filter(None, (', '.join(song.artists), song.title)))}, "
            found += f"{songs[0].score:.0%} sure"
        else:
            found = "found no song"
        if self.asked_about is not None:
            found += "" if self.as_it_should else f", though the sound is a piece of {self.asked_about.title}"
        elif not songs:
            found += ", which is right: the sound is made for this test"
        return f"{self.name} {found}, in {self.seconds:.2f} s"


async def try_recognizer(
    settings: PipelineSettings, name: str, *, guards: ProviderGuards | None = None, wait_seconds: float
) -> TrialAnswer:
    """Ask the recognizer `name`, which the settings have, with its breaker and budget.

    Raises TwitchAudioError: why it gave no answer (`timeout` after `wait_seconds`), SettingsError.
    """
    track, sound = await asyncio.to_thread(_trial_sound, settings, name)
    began = time.perf_counter()
    try:
        async with (
            asyncio.timeout(wait_seconds),
            open_members(dataclasses.replace(settings, recognizers=(name,)), guards=guards) as members,
            RecognizerChain(members) as chain,
        ):
            answer = await chain.identify(sound, lambda _stage: None)
    except TimeoutError as error:
        detail = f"{name} did not answer within {wait_seconds:.0f} s."
        raise TwitchAudioError(ProblemCode.TIMEOUT, detail) from error
    return TrialAnswer(name, answer, track, time.perf_counter() - began)


def _trial_sound(settings: PipelineSettings, name: str) -> tuple[Track | None, Recording]:
    """What is asked about, and the track that it is a piece of. Blocks."""
    if name == "catalog":
        for live in Catalogs(settings.catalog_dirs).snapshot().segments:
            for number in np.flatnonzero(live.alive)[:1].tolist():
                sound = tones_of_peaks(*live.segment.peaks(number))
                return live.track(number), _recording(sound)
    return None, _recording(notes())


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
    noise = default_rng(7).standard_normal(int(SECONDS * SAMPLE_RATE)).astype(np.float32)
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
