"""Splits a long recording for a provider that accepts only a few seconds: each part is one question."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from fingerprint.domain.audio import Recording
from fingerprint.ports import Match
from fingerprint.providers.agreement import same_song
from fingerprint.providers.samples import SAMPLE_SECONDS


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A part of a recording that begins `start_seconds` into it."""

    recording: Recording
    start_seconds: float = 0.0


def split_recording(recording: Recording, max_parts: int) -> list[Part]:
    """As many parts of SAMPLE_SECONDS as are needed to cover the recording, evenly spread; at most `max_parts`.

    A short recording is one part, and so is a long one when `max_parts` is 1.
    """
    pcm = recording.pcm
    count = min(max_parts, math.ceil(pcm.duration_seconds / SAMPLE_SECONDS - 1 / SAMPLE_SECONDS))
    if count <= 1:
        return [Part(recording)]
    step = (pcm.duration_seconds - SAMPLE_SECONDS) / (count - 1)
    return [_cut(recording, number * step) for number in range(count)]


def _cut(recording: Recording, start: float) -> Part:
    started_at, from_seconds = recording.started_at, recording.from_seconds
    part = Recording(
        pcm=recording.pcm.cut(start, SAMPLE_SECONDS),
        started_at=None if started_at is None else started_at + timedelta(seconds=start),
        from_seconds=None if from_seconds is None else from_seconds + start,
    )
    return Part(part, start)


def merge_matches(found: Sequence[tuple[Part, Sequence[Match]]]) -> list[Match]:
    """The songs of all parts, best score first and each once: at its first offset, with its best score."""
    songs: list[Match] = []
    for part, matches in found:
        for match in matches:
            song = replace(match.song, position_seconds=match.song.position_seconds + part.start_seconds)
            known = next((place for place, each in enumerate(songs) if same_song(each.song, song)), None)
            if known is None:
                songs.append(Match(song=song, score=match.score))
            else:
                songs[known] = replace(songs[known], score=max(songs[known].score, match.score))
    return sorted(songs, key=lambda match: -match.score)
