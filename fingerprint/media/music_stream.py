"""Tells which of several audio tracks of a file is music: films and recordings of streams have more than one."""

import array
import contextlib
import re
from typing import Final

import av
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition

MAX_STREAMS: Final = 8
PROBED_SECONDS: Final = 20.0
"""How much of each track is decoded to tell whether it is silent."""

_MAX_PACKETS: Final = 20_000
_PROBED_RATE: Final = 8_000
_SILENT_PEAK: Final = 33
"""Of 32,768: what is 60 dB below full scale is silence."""

_SPOKEN: Final = (
    Disposition.comment,
    Disposition.visual_impaired,
    Disposition.hearing_impaired,
    Disposition.descriptions,
)
_SPOKEN_NAME: Final = re.compile(r"comment|descri(?:bed|ption)|director", re.IGNORECASE)
_DAMAGE: Final = (FFmpegError, ValueError, LookupError, ArithmeticError, OSError)


def music_stream(media: InputContainer) -> int:
    """The number of the first audio track that is neither silent nor a commentary; else the first one's.

    Tracks are listened to from a quarter of the recording on. Moves the position in the container.
    """
    streams = list(media.streams.audio)[:MAX_STREAMS]
    order = sorted(range(len(streams)), key=lambda number: _is_spoken(streams[number]))
    if media.duration is not None and media.duration > 4 * PROBED_SECONDS * av.time_base:
        with contextlib.suppress(*_DAMAGE):
            media.seek(media.duration // 4)
    loud = _loud(media, streams, enough=order[0])
    return next((number for number in order if number in loud), order[0])


def _is_spoken(stream: AudioStream) -> bool:
    if any(stream.disposition & flag for flag in _SPOKEN):
        return True
    names = [stream.metadata.get(key, "") for key in ("title", "handler_name")]
    return any(_SPOKEN_NAME.search(name) for name in names)


def _loud(media: InputContainer, streams: list[AudioStream], *, enough: int) -> set[int]:
    """The numbers of tracks that are not silent; ends when the one that is preferred is among them."""
    numbers = {stream.index: number for number, stream in enumerate(streams)}
    left = dict.fromkeys(numbers.values(), PROBED_SECONDS)
    resamplers = {number: AudioResampler(format="s16", layout="mono", rate=_PROBED_RATE) for number in left}
    loud: set[int] = set()
    with contextlib.suppress(*_DAMAGE):
        for count, packet in enumerate(media.demux(*streams)):
            if count == _MAX_PACKETS or enough in loud or not left:
                break
            number = numbers.get(packet.stream_index)
            if number not in left:
                continue
            with contextlib.suppress(*_DAMAGE):
                for frame in packet.decode():
                    if isinstance(frame, AudioFrame) and frame.sample_rate:
                        left[number] -= frame.samples / frame.sample_rate
                        frame.pts = None
                        if any(_peak(each) > _SILENT_PEAK for each in resamplers[number].resample(frame)):
                            loud.add(number)
            if number in loud or left[number] <= 0:
                del left[number]
    return loud


def _peak(frame: AudioFrame) -> int:
    samples = array.array("h")
    samples.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
    return max(max(samples, default=0), -min(samples, default=0))
