"""An indexing worker with a stand-in for FFmpeg: a file's text says what happens when it is decoded.

`music 7 Low Tide` is the seventh piece of music, with a title in its tags.
"""

import os
import time
from collections.abc import Iterator
from pathlib import PurePath
from typing import BinaryIO

import numpy as np

from fingerprint.catalog.index_protocol import FileDescription
from fingerprint.catalog.song_tags import Tags
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.index_worker import serve_indexing


def main() -> None:
    serve_indexing(decode, describe)


def describe(file: BinaryIO, _name: PurePath) -> FileDescription:
    word, number, title = [*file.read().decode().split(" ", 2), "", ""][:3]
    if word != "music":
        return FileDescription(sound="", tags=Tags())
    return FileDescription(sound=f"music {number}", tags=Tags(title=title or None))


def decode(file: BinaryIO) -> Iterator[Pcm]:
    word, _, rest = file.read().decode().partition(" ")
    match word:
        case "music":
            rng = np.random.default_rng(int(rest.split()[0]))
            sound = rng.normal(0, 0.1, (1, 4 * SAMPLE_RATE)).astype(np.float32)
            yield Pcm(sound)
        case "silence":
            yield Pcm(np.zeros((1, 4 * SAMPLE_RATE), np.float32))
        case "short":
            yield Pcm(np.zeros((1, 100), np.float32))
        case "crash":
            os._exit(139)
        case "stall":
            time.sleep(60)
        case "odd":
            raise ValueError("nonsense")
        case "greedy":
            yield Pcm(np.zeros((1, 1 << 31), np.float32))
        case "curious":
            os.close(os.open("/etc/hostname", os.O_RDONLY))
            yield Pcm(np.ones((1, 4 * SAMPLE_RATE), np.float32))
        case _:
            raise TwitchAudioError(ProblemCode.NO_AUDIO, "There is no audio to identify: it is no sound.")
