"""Finds where in a recording a song begins that is heard for the first time, by questions about a few seconds.

Its offset tells where it would have begun. It was cut in late if it is not heard there, and began in its middle if
that is too long ago; then the sound before and after tells.
"""

from typing import Final

from fingerprint.domain.audio import PART, Recording
from fingerprint.domain.identification import Song, song_key
from fingerprint.domain.time_line import speed_of
from fingerprint.domain.tracklist import HeardPiece, Tracklist, TracklistEntry
from fingerprint.ports import Recognizers, WholeSound, ignore_stage

BLOCK_SECONDS: Final = 12.0
"""The sound of one question."""

LEAST_SECONDS: Final = 3.0
"""Shorter sound, at an end of the recording or of a muted part, is not asked about."""

NEAR_SECONDS: Final = 24.0
"""A song that would have begun at most so long before it was first heard is taken to have begun there."""

CROSSFADE_SECONDS: Final = 15.0
"""How long two songs may be heard at once."""

PROBE_SECONDS: Final = 4.0
"""The sound of a question about where a song began."""

LATE_PROBES: Final = (8, 12, 16)
"""So many seconds after its own start, a song that was cut in late is looked for. If it is not heard there either,
a few seconds are not enough for it, and tell nothing. Songs fade in within the first of these times."""

CUT_IN_SECONDS: Final = (0.0, 2.0, 2.9, 4.5, 6.0, 7.0, 8.0, 9.0, 10.0)
"""How long after its own start a song was cut in, by the second from which it is heard. Half of a probe is enough
for that. Measured on 230 joints of music."""

CUT_IN_AFTER_SECONDS: Final = 1.3
"""Likewise after that second, where it is later: there, it may have faded in as well."""


class SongStarts:
    """Finds the starts of songs in whole recordings. `recognizers`: those that cost nothing."""

    def __init__(self, recognizers: Recognizers) -> None:
        self._recognizers = recognizers

    async def of(self, sound: WholeSound, found: Tracklist, piece: HeardPiece) -> float:
        """Where a song that was not heard before began: by its offset, or by what the sound before it says."""
        last = _last_heard(found, piece)
        earliest = piece.start - NEAR_SECONDS
        if last is not None:
            earliest = max(earliest, last.end - CROSSFADE_SECONDS)
        for muted_from, muted_to in (*found.muted[-2:], *found.missing[-2:]):
            if muted_to >= piece.start - BLOCK_SECONDS:
                # It may have begun where nothing could be heard.
                earliest = min(earliest, max(muted_from, 0.0 if last is None else last.end))
        began = song_began(piece.song, piece.start, earliest=earliest)
        if began is not None and piece.start - began <= BLOCK_SECONDS:
            return began + await self._cut_in(sound, piece, began, last)
        if began is not None and await self._is_believable(sound, piece, began):
            return began
        began, step = piece.start, PROBE_SECONDS
        while step >= PROBE_SECONDS / 2:
            probe = began - step
            near = probe >= 0.0 and piece.start - probe <= BLOCK_SECONDS
            if near and await self._is_heard(sound, piece.song, probe):
                began = probe
            else:
                step /= 2
        return began if began < piece.start else await self._faded_in(sound, piece)

    async def _faded_in(self, sound: WholeSound, piece: HeardPiece) -> float:
        """Where in its piece a song begins that was not heard before: a piece tells only that it is heard there.

        It may fade in, so it begins a little before it can be recognized. Where no few seconds of it are enough
        for that, it is taken to begin where that is least far off.
        """
        later = 0.0
        while later + PROBE_SECONDS <= BLOCK_SECONDS:
            if await self._is_heard(sound, piece.song, piece.start + later):
                return piece.start + max(0.0, later - PROBE_SECONDS / 2)
            later += PROBE_SECONDS
        cut_off = sound.duration_seconds is not None and sound.duration_seconds < piece.start + BLOCK_SECONDS
        return piece.start if cut_off else piece.start + later / 3

    async def _cut_in(
        self, sound: WholeSound, piece: HeardPiece, began: float, last: TracklistEntry | None
    ) -> float:
        """How many seconds after its own start a song begins to be heard: 0, or more where it was cut in late.

        A song that fades in under the `last` one is not heard at its own start, either. So where that one still
        plays there, only what is not heard for longer than songs fade in was cut in.
        """
        song = piece.song
        if (await sound.part(began, PROBE_SECONDS)).pcm is None or await self._is_heard(sound, song, began):
            return 0.0
        unheard = 0
        for heard in LATE_PROBES:
            if await self._is_heard(sound, song, began + heard):
                break
            unheard = heard
        else:
            return 0.0
        if not unheard and last is not None and await self._is_heard(sound, last.song, max(0.0, began - 1.0)):
            return 0.0
        while heard - unheard > 1:
            middle = (heard + unheard) // 2
            if await self._is_heard(sound, song, began + middle):
                heard = middle
            else:
                unheard = middle
        return CUT_IN_SECONDS[heard] if heard < len(CUT_IN_SECONDS) else heard + CUT_IN_AFTER_SECONDS

    async def _is_believable(self, sound: WholeSound, piece: HeardPiece, began: float) -> bool:
        """Whether a song was played from its start, and not from its middle: then it is heard there, too.

        It need not be recognized in its first seconds, which are quiet, or where nothing can be heard.
        """
        for probe in (began + PROBE_SECONDS, (began + piece.start) / 2):
            if (await sound.part(probe, PROBE_SECONDS)).pcm is None or await self._is_heard(
                sound, piece.song, probe
            ):
                return True
        return False

    async def _is_heard(self, sound: WholeSound, song: Song, start: float) -> bool:
        """Whether a song is heard in the few seconds from a moment on."""
        part = await sound.part(start, PROBE_SECONDS)
        if part.pcm is None or part.pcm.duration_seconds < LEAST_SECONDS:
            return False
        recognition = await self._recognizers.identify(Recording(pcm=part.pcm, take=PART), ignore_stage)
        return any(song_key(match.song) == song_key(song) for match in recognition.matches)


def _last_heard(found: Tracklist, piece: HeardPiece) -> TracklistEntry | None:
    """The song that was heard last before a piece."""
    ends = [entry.end for entry in found.entries[-4:]]
    if not ends:
        return None
    newest = max(range(len(ends)), key=lambda number: ends[number])
    entry = found.entries[-4:][newest]
    return entry if entry.end <= piece.end else None


def song_began(song: Song, start: float, *, earliest: float) -> float | None:
    """Where a song began by its offset; None where that is unknown, or before `earliest`."""
    if song.offset_seconds is None:
        return None
    began = start - song.offset_seconds / speed_of(song)
    return max(0.0, began) if began >= earliest - 1e-6 or (began < 0.0 and earliest <= 0.0) else None
