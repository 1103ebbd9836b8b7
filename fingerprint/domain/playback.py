"""Words for a song that is played faster, slower, higher or lower than it is."""

import math
from typing import Final

from fingerprint.domain.identification import Song

LEAST_SPEED: Final = 0.015
"""A smaller change of speed, as a share, is not spoken of."""

LEAST_SEMITONES: Final = 0.75
"""Likewise for the pitch, beyond what the speed makes of it, in semitones."""


def playback_text(song: Song) -> str:
    """How the song is played, such as `sped up 25%` or `2 semitones lower`; empty for a song as it is."""
    percent, semitones = playback_of(song)
    words: list[str] = []
    if percent:
        words.append(f"{'sped up' if percent > 0 else 'slowed down'} {abs(percent)}%")
    if semitones:
        height = abs(semitones)
        words.append(f"{height} semitone{'s' if height > 1 else ''} {'higher' if semitones > 0 else 'lower'}")
    return ", ".join(words)


def playback_of(song: Song) -> tuple[int, int]:
    """Percent faster and semitones higher; negative for slower and lower, 0 for a song as it is."""
    speed, pitch = song.speed or 1.0, song.pitch or 0.0
    changed = abs(speed - 1) >= LEAST_SPEED
    percent = _rounded(100 * abs(speed - 1)) * (1 if speed > 1 else -1) if changed else 0
    by_itself = abs(pitch - 12 * math.log2(speed)) >= LEAST_SEMITONES
    semitones = _rounded(abs(pitch)) * (1 if pitch > 0 else -1) if by_itself else 0
    return percent, semitones


def _rounded(value: float) -> int:
    """The nearest whole number, halves upwards, as in JavaScript."""
    return math.floor(value + 0.5)
