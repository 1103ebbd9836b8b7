"""An indexing worker with a stand-in for FFmpeg: a file's text says what happens when it is decoded."""

import os
import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.index_worker import serve_indexing


def main() -> None:
    serve_indexing(decode)


def decode(file: BinaryIO) -> Iterator[Pcm]:
    word, _, rest = file.read().decode().partition(" ")
    match word:
        case "music":
            rng = np.random.default_rng(int(rest))
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
            raise TwitchAudioError(ProblemCode.NO_AUDIO, "There is nothing to listen to: it is no sound.")
