"""The programme of a channel, clip or VOD: parts of songs in a row, with or without a voice over them."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from simulator.library import SongFile
from simulator.media import FRAME, TICKS, AacRing, Muxer, encode_aac, encode_ring, read_sound
from simulator.synth import RATE, Sound
from simulator.voice import advertisement, talk

_FADE: Final = RATE // 50
_MIX: Final = "mix-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A part of a song: `seconds` from `start_seconds` on; None means to its end."""

    song: SongFile
    start_seconds: float = 0.0
    seconds: float | None = None

    @property
    def length(self) -> int:
        """The length in samples."""
        left = self.song.seconds - self.start_seconds
        return round((left if self.seconds is None else min(self.seconds, left)) * RATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """Items in a row. `voice_gain`: 0 for no voice, 1 for a continuous voice as loud as the music."""

    items: tuple[Item, ...]
    voice_gain: float = 0.0
    voice_seed: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class NowPlaying:
    """The song that is heard, and the position in it in seconds."""

    song: SongFile
    offset_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An encoded playlist, with what is heard at each position."""

    playlist: Playlist
    ring: AacRing = field(repr=False)

    @property
    def seconds(self) -> float:
        """The length of one repetition in seconds."""
        return self.ring.seconds

    def at(self, ticks: int) -> NowPlaying:
        """What is heard at a position in ticks; the programme repeats without end."""
        left = ticks % self.ring.ticks * RATE // TICKS
        for item in self.playlist.items:
            if left < item.length:
                return NowPlaying(song=item.song, offset_seconds=item.start_seconds + left / RATE)
            left -= item.length
        last = self.playlist.items[-1]
        return NowPlaying(song=last.song, offset_seconds=last.start_seconds + last.length / RATE)


class ProgramEncoder:
    """Makes programmes and clip files, and caches them in a folder, so that each is made once.

    All methods are CPU work: call them in threads. They may run at the same time.
    """

    def __init__(self, cache: Path) -> None:
        self._cache = cache

    def program(self, playlist: Playlist) -> Program:
        """Mixes and encodes the playlist. Raises ValueError when it has no sound."""
        ring = encode_ring(_digest(playlist), self._cache / "programmes", lambda: mix(playlist))
        return Program(playlist=playlist, ring=ring)

    def advertisement(self) -> AacRing:
        """The sound of every stitched ad."""
        return encode_ring("advertisement-1", self._cache / "programmes", advertisement)

    def silence(self) -> AacRing:
        """Half a second of silence, for muted segments."""
        return encode_ring("silence", self._cache / "programmes", lambda: np.zeros((2, 24 * FRAME), np.float32))

    def clip_file(self, playlist: Playlist, muxer: Muxer) -> Path:
        """An MP4 file with the playlist's sound and a small H.264 picture."""
        path = self._cache / "clips" / f"{_digest(playlist)[:24]}.mp4"
        if not path.exists():
            muxer.write_mp4(encode_aac(mix(playlist)), path)
        return path


def mix(playlist: Playlist) -> Sound:
    """The playlist as sound; each item has very short fades so that joints do not click."""
    pieces: list[Sound] = []
    for item in playlist.items:
        piece = np.zeros((2, item.length), dtype=np.float32)
        read = read_sound(item.song.path, item.start_seconds, item.length / RATE)
        fitting = min(item.length, read.shape[1])
        piece[:, :fitting] = read[:, :fitting]
        fade = np.linspace(0, 1, min(_FADE, item.length), dtype=np.float32)
        piece[:, : fade.size] *= fade
        piece[:, piece.shape[1] - fade.size :] *= fade[::-1]
        pieces.append(piece)
    music = np.concatenate(pieces, axis=1)
    if not playlist.voice_gain:
        return music
    seconds = music.shape[1] / RATE
    voice = talk(min(seconds, 60.0), seed=playlist.voice_seed)
    voice = np.tile(voice, (1, -(-music.shape[1] // voice.shape[1])))[:, : music.shape[1]]
    gain = np.float32(playlist.voice_gain * _rms(music) / max(1e-6, _rms(voice)))
    mixed = music + voice * gain
    return (mixed * np.float32(0.95 / max(0.95, float(np.abs(mixed).max())))).astype(np.float32)


def _rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _digest(playlist: Playlist) -> str:
    """A name for a playlist, computed from the content of its files."""
    digest = hashlib.sha256(f"{_MIX} {playlist.voice_gain} {playlist.voice_seed}".encode())
    seen: dict[Path, bytes] = {}
    for item in playlist.items:
        if item.song.path not in seen:
            with item.song.path.open("rb") as file:
                seen[item.song.path] = hashlib.file_digest(file, "sha256").digest()
        digest.update(seen[item.song.path] + f"{item.start_seconds} {item.length}".encode())
    return digest.hexdigest()
