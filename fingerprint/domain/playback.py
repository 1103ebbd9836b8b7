"""Words for a song that is played faster, slower, higher or lower than it is."""

import math
from typing import Final

from fingerprint.domain.identification import Song

LEAST_SPEED: Final = 0.015
"""A smaller change of speed, as a share, is not spoken of."""

LEAST_SEMITONES: Final = 0.75
"""Likewise for the pitch, beyond what the speed makes of it, in semitones."""


def playback_text(song: Song) -> str:
    """How the song is played, such as `sped up 25 %` or `2 semitones lower`; empty for a song as it is."""
    speed, pitch = song.speed or 1.0, song.pitch or 0.0
    words: list[str] = []
    if abs(speed - 1) >= LEAST_SPEED:
        words.append(f"{'sped up' if speed > 1 else 'slowed down'} {_rounded(100 * abs(speed - 1))} %")
    semitones = _rounded(abs(pitch))
    if abs(pitch - 12 * math.log2(speed)) >= LEAST_SEMITONES and semitones:
        words.append(f"{semitones} semitone{'s' if semitones > 1 else ''} {'higher' if pitch > 0 else 'lower'}")
    return ", ".join(words)


def _rounded(value: float) -> int:
    """The nearest whole number, halves upwards, as in JavaScript."""
    return math.floor(value + 0.5)
