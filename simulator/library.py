"""Music files for the simulator: the composed songs, written once as tagged FLAC, or the user's own files."""
# PyAV's stubs leave the type of a packet's stream open:
# pyright: reportUnknownMemberType=false

import hashlib
import os
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import av
import av.error
import numpy as np
import tinytag

from simulator import composer, songs, synth
from simulator.composer import Composer
from simulator.songs import SCORES, Score, SongTags
from simulator.synth import RATE, Sound

AUDIO_SUFFIXES: Final = frozenset(
    {
        ".aac",
        ".aif",
        ".aiff",
        ".flac",
        ".m4a",
        ".mka",
        ".mp3",
        ".mp4",
        ".oga",
        ".ogg",
        ".opus",
        ".wav",
        ".webm",
        ".wma",
    }
)


class NoMusicError(Exception):
    """A folder contains no file that can be played. The text is for the user who named the folder."""


class CompositionCancelledError(Exception):
    """The caller of the composition no longer waits for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SongFile:
    """A music file that the simulated channels may play."""

    path: Path
    tags: SongTags
    seconds: float

    @property
    def title(self) -> str:
        """The song's title, for people."""
        return self.tags.title


def composed_songs(
    folder: Path, scores: Sequence[Score] = SCORES, *, abandoned: threading.Event | None = None
) -> tuple[SongFile, ...]:
    """The demo's songs as FLAC files under `folder`, created where missing, which takes seconds of CPU.

    The files are under a folder named for the code that made them, so a change of the code makes new ones. Each
    appears by renaming, so an interrupted call can be repeated. Setting `abandoned` from another thread ends the
    call after the songs that are being played, with CompositionCancelledError.
    """
    target = folder / f"songs-{_generation()}"
    target.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="compose") as pool:
        return tuple(pool.map(partial(_composed, target, abandoned), scores))


def own_songs(folder: Path, *, limit: int = 24) -> tuple[SongFile, ...]:
    """The music files below `folder`, sorted by path, at most `limit`; files that cannot be played are left out.

    Raises NoMusicError when none is left.
    """
    found: list[SongFile] = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file():
            song = _own(path)
            if song is not None:
                found.append(song)
        if len(found) == limit:
            break
    if not found:
        raise NoMusicError(f"there is no music file of at least 10 s in {folder}")
    return tuple(found)


def _generation() -> str:
    digest = hashlib.sha256()
    for module in (composer, songs, synth):
        digest.update(Path(module.__file__ or "").read_bytes())
    return digest.hexdigest()[:12]


def _composed(folder: Path, abandoned: threading.Event | None, score: Score) -> SongFile:
    path = folder / f"{score.tags.title}.flac"
    player = Composer(score)
    if not path.exists():
        if abandoned is not None and abandoned.is_set():
            raise CompositionCancelledError
        write_flac(path, player.play(), score.tags)
    return SongFile(path=path, tags=score.tags, seconds=round(player.seconds * RATE) / RATE)


def write_flac(path: Path, sound: Sound, tags: SongTags) -> None:
    """Writes sound as a 16-bit FLAC file with tags, atomically (by renaming a temporary file)."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        with av.open(name, "w", format="flac") as container:
            container.metadata.update(
                {
                    "title": tags.title,
                    "artist": " & ".join(tags.artists),
                    "album": tags.album,
                    "label": tags.label,
                    "publisher": tags.label,
                    "ISRC": tags.isrc,
                    "date": tags.date,
                    "genre": tags.genre,
                }
            )
            stream = container.add_stream("flac", rate=RATE, layout="stereo", options={"compression_level": "2"})
            whole = np.ascontiguousarray((np.clip(sound, -1, 1) * 32767).astype(np.int16).T).reshape(1, -1)
            for first in range(0, sound.shape[1], RATE):
                frame = av.AudioFrame.from_ndarray(
                    whole[:, 2 * first : 2 * (first + RATE)], format="s16", layout="stereo"
                )
                frame.sample_rate = RATE
                frame.pts = first
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _own(path: Path) -> SongFile | None:
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio or not container.duration:
                return None
            seconds = container.duration / av.time_base
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    if seconds < 10:
        return None
    try:
        read = tinytag.TinyTag.get(path)
    except (tinytag.TinyTagException, OSError):
        read = tinytag.TinyTag()
    isrc = read.other.get("isrc") or [""]
    return SongFile(
        path=path,
        tags=SongTags(
            title=read.title or path.stem,
            artists=tuple(name for name in (read.artist or "").split(" & ") if name) or ("Unknown artist",),
            album=read.album or "",
            label="",
            isrc=str(isrc[0]),
            date=read.year or "",
            genre=read.genre or "",
        ),
        seconds=seconds,
    )
