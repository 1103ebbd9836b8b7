"""Decodes media to planes of float32 samples: the part of decoding that runs in a worker process.

Needs PyAV and not even NumPy, so that a worker starts fast and stays small. FFmpeg gets bytes only:
demuxers are forced or chosen from `_FORMATS`, no protocol is allowed, and anything else that a container wants to
open (playlists, references) is refused.
"""

import contextlib
import hashlib
import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any, Final, NoReturn, Protocol, cast

import av
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from fingerprint.media.decoder_protocol import Mark
from fingerprint.media.music_stream import music_stream
from fingerprint.media.odd_files import past_broken_id3, past_junk, protection_by_bytes, protection_by_streams

RATE: Final = 16_000
"""The output's sample rate in Hz; the same as `fingerprint.domain.audio.SAMPLE_RATE`."""

BYTES_PER_SAMPLE: Final = 4

_FORMATS: Final = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,ircam,matroska,webm,mlp,mov,mp4,m4a,3gp,"
    "3g2,mj2,mp3,mpc,mpc8,mpeg,mpegts,nut,ogg,oga,opus,qoa,rm,sox,tak,truehd,tta,voc,w64,wav,wv"
)
"""The demuxers that a file may be probed for: those of sound and video files, none that opens other files."""

_DAMAGE: Final = (FFmpegError, ValueError, LookupError, ArithmeticError, OSError)
"""What PyAV raises about damaged input, besides its own errors: wrong stream numbers, absurd sizes and rates."""

_ODD_TAGS: Final[dict[str, Any]] = (
    {"metadata_errors": "surrogateescape"} if int(av.__version__.split(".")[0]) < 19 else {}
)
"""Keeps PyAV 18 from failing at tags that are not UTF-8. PyAV 19 always reads them so and has no such argument."""

_PROTECTED: Final = "it is protected against copying (DRM: {})"

_GATHERED_SAMPLES: Final = 24_000

_BAD_PACKETS: Final = 2_000
"""How many consecutive undecodable packets end the decoding."""


class Readable(Protocol):
    """A seekable input for FFmpeg."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; empty at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position, as `io.IOBase.seek` does."""
        ...

    def tell(self) -> int:
        """The position in bytes from the start."""
        ...


class Stream(Protocol):
    """An input that FFmpeg reads once from start to end."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; empty at the end."""
        ...


class UndecodableError(Exception):
    """The input contains no sound; the text is a clause that says why, for people."""


Planes = tuple[bytes, ...]
"""Some sound: for each of 1 or 2 channels as many float32 samples, in the machine's byte order."""

MARK_TOLERANCE_SECONDS: Final = 0.1
"""How far timestamps may be from the count of samples before a new mark is made: muxers round theirs."""


def _ignore_mark(_mark: Mark) -> None:
    """An `on_mark` that does nothing."""


def iter_planes(
    file: Readable | Stream,
    *,
    container: str | None,
    max_seconds: float,
    block_seconds: float,
    mono_beyond_seconds: float = math.inf,
    on_mark: Callable[[Mark], None] = _ignore_mark,
) -> Iterator[Planes]:
    """The audio stream of `file` that is music, at `RATE`, in blocks of `block_seconds` (the last one is shorter).

    `container` is FFmpeg's name of the format, whose first audio stream is taken; None recognizes the format from
    the content, and of several audio streams takes the first that is neither silent nor a commentary. Mono stays
    mono, everything else becomes stereo; input that says it is longer than `mono_beyond_seconds` becomes mono.
    Ends after `max_seconds`, or where truncated or damaged input cannot be decoded any further.

    The sound is joined end to end, whatever its timestamps; `on_mark` is called with what they say, at the first
    sample and at each one at which they jump, before the block that contains it.

    Raises UndecodableError when not one sample could be decoded.
    """
    with _open_sound(file, container) as (media, stream):
        frames = _marked(media, stream, on_mark)
        length = media.duration / av.time_base if media.duration else 0.0
        force_mono = length > mono_beyond_seconds
        blocks = _Blocks(round(block_seconds * RATE), round(max_seconds * RATE))
        for frame in _resampled(frames, force_mono=force_mono):
            blocks.add(frame)
            yield from blocks.full()
            if blocks.complete:
                break
        yield from blocks.rest()
        if not blocks.total:
            raise UndecodableError("its sound is damaged or in a format that cannot be decoded")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedSound:
    """What a file holds, without decoding it.

    `digest`: of the encoded sound, 32 hex digits; it stays the same when tags, pictures or the container change.
    Empty when the file cannot be read. `tags`: names and values as the file has them, those of the sound track
    after those of the whole file; bytes that are no UTF-8 are surrogates. `picture`: the embedded picture, the
    front cover if there are several; empty when there is none.
    """

    digest: str
    tags: dict[str, str]
    picture: bytes = b""


def read_encoded(file: Readable) -> EncodedSound:
    """What can be told of a file's sound, without decoding it."""
    digest = hashlib.sha256()
    tags: dict[str, str] = {}
    picture = b""
    try:
        with _open_sound(file, None) as (media, stream):
            tags = {**stream.metadata, **media.metadata}
            digest.update(f"{stream.codec.name} {stream.sample_rate} {stream.channels}".encode())
            cover = _cover_stream(media)
            for packet in media.demux(stream if cover is None else (stream, cover)):
                if packet.stream_index == stream.index:
                    if packet.size:
                        digest.update(packet)
                elif not picture:
                    picture = bytes(packet)
    except (UndecodableError, *_DAMAGE):
        return EncodedSound(digest="", tags=tags, picture=picture)
    return EncodedSound(digest=digest.hexdigest()[:32], tags=tags, picture=picture)


def embedded_picture(file: Readable) -> bytes:
    """The picture that `read_encoded` finds, without reading the sound; empty when there is none."""
    try:
        with _open_file(file) as media:
            cover = _cover_stream(media)
            if cover is None:
                return b""
            # Pictures in tags come before any sound.
            for packet in media.demux(cover):
                return bytes(packet)
    except (UndecodableError, *_DAMAGE):
        pass
    return b""


def _cover_stream(media: InputContainer) -> VideoStream | None:
    """The embedded picture: the one that is called the front cover, else the first."""
    pictures = [stream for stream in media.streams.video if stream.disposition & Disposition.attached_pic]
    named = [
        stream
        for stream in pictures
        if "front" in stream.metadata.get("comment", "").lower()
        or stream.metadata.get("filename", "").lower().startswith("cover.")
    ]
    return next(iter([*named, *pictures]), None)


@contextlib.contextmanager
def _open_sound(file: Readable | Stream, container: str | None) -> Generator[tuple[InputContainer, AudioStream]]:
    """Open a container, with the audio stream that is music. Raises UndecodableError."""
    opened = _open(file, container) if container is not None else _open_file(cast("Readable", file))
    with opened as media:
        streams = media.streams.audio
        if not streams:
            raise UndecodableError("it has no audio track")
        if container is None and (scheme := protection_by_streams(media)) is not None:
            raise UndecodableError(_PROTECTED.format(scheme))
        if len(streams) == 1 or container is not None:
            yield media, streams[0]
            return
        index = music_stream(media)
    # Opened again, since not every container can go back to its start.
    with _open_file(cast("Readable", file)) as media:
        yield media, media.streams.audio[index]


def _open_file(file: Readable) -> contextlib.closing[InputContainer]:
    """Open a file, of any format that its content has. Raises UndecodableError."""
    if (scheme := protection_by_bytes(file)) is not None:
        raise UndecodableError(_PROTECTED.format(scheme))
    try:
        return _open(past_broken_id3(file), None)
    except UndecodableError:
        sound = past_junk(file)
        if sound is None:
            raise
        return _open(sound, None)


def _open(file: Readable | Stream, container: str | None) -> contextlib.closing[InputContainer]:
    options = {"protocol_whitelist": "none", "format_whitelist": container or _FORMATS}
    try:
        media = av.open(file, "r", format=container, options=options, io_open=_refuse_io, **_ODD_TAGS)
    except _DAMAGE as error:
        raise UndecodableError("this is not an audio or video file we can read") from error
    return contextlib.closing(media)


def _refuse_io(*_args: object) -> NoReturn:
    raise PermissionError("nothing else may be opened")


def _marked(media: InputContainer, stream: AudioStream, on_mark: Callable[[Mark], None]) -> Iterator[AudioFrame]:
    """The decoded frames; marks those at which the clock starts or jumps."""
    start = cast("int | None", media.start_time)
    begins = math.nan if start is None else start / av.time_base
    mark: Mark | None = None
    elapsed = 0.0
    for position, frame in _frames(media, stream):
        seconds = frame.time
        if mark is None or (seconds is not None and _jumps(mark, seconds, elapsed)):
            mark = Mark(round(elapsed * RATE), math.nan if seconds is None else seconds, position, begins)
            on_mark(mark)
        elapsed += frame.samples / frame.sample_rate if frame.sample_rate else 0.0
        yield frame


def _jumps(mark: Mark, seconds: float, elapsed: float) -> bool:
    """Whether a timestamp is not what follows from the last mark and the sound since then."""
    expected = mark.seconds + elapsed - mark.sample / RATE
    return math.isnan(expected) or abs(seconds - expected) > MARK_TOLERANCE_SECONDS


def _frames(media: InputContainer, stream: AudioStream) -> Iterator[tuple[int, AudioFrame]]:
    """Decoded frames for as long as the container can be read, each with its packet's place in the input.

    Undecodable packets are skipped. A packet without a place has the last known one.
    """
    bad = 0
    position = -1
    try:
        packets = media.demux(stream)
    except _DAMAGE:
        return
    while bad < _BAD_PACKETS:
        try:
            packet = next(packets)
        except (StopIteration, *_DAMAGE):
            return
        try:
            frames = _decode(packet)
        except _DAMAGE:
            bad += 1
            continue
        bad = 0
        position = position if packet.pos is None else packet.pos
        for frame in frames:
            yield position, frame


def _decode(packet: "Packet[Any]") -> list[AudioFrame]:
    return [frame for frame in cast("list[object]", packet.decode()) if isinstance(frame, AudioFrame)]


def _resampled(frames: Iterator[AudioFrame], *, force_mono: bool) -> Iterator[AudioFrame]:
    """Frames at `RATE` as planar float. The input may change its rate or layout midway; the output never does."""
    layout: str | None = None
    converter: _Converter | None = None
    described: tuple[str, str, int] | None = None
    for frame in frames:
        if layout is None:
            layout = "mono" if force_mono or frame.layout.nb_channels == 1 else "stereo"
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if converter is None or described != now:
            if converter is not None:
                yield from converter.flush()
            converter = _Converter(layout)
            described = now
        yield from converter.convert(frame)
    if converter is not None:
        yield from converter.flush()


class _Converter:
    """Resamples frames of one format, gathered into large ones first, since each call is costly.

    A frame that cannot be converted (an impossible header) is skipped; the frames after it may be sound.
    """

    def __init__(self, layout: str) -> None:
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=RATE)
        self._fifo = AudioFifo()

    def convert(self, frame: AudioFrame) -> list[AudioFrame]:
        """The frames that are ready after adding one."""
        frame.pts = None  # frames are joined end to end, whatever their timestamps
        try:
            self._fifo.write(frame)
            if self._fifo.samples < _GATHERED_SAMPLES:
                return []
            return self._resampler.resample(self._fifo.read(0, partial=True))
        except _DAMAGE:
            return []

    def flush(self) -> list[AudioFrame]:
        """The remaining frames. The converter cannot be used afterwards."""
        with contextlib.suppress(*_DAMAGE):
            rest = self._fifo.read(0, partial=True)
            return [*(self._resampler.resample(rest) if rest else ()), *self._resampler.resample(None)]
        return []


class _Blocks:
    """Gathers frames and cuts them into blocks of equal length."""

    def __init__(self, block_samples: int, max_samples: int) -> None:
        self._block_bytes = max(1, block_samples) * BYTES_PER_SAMPLE
        self._left = max(0, max_samples)
        self._channels: tuple[bytearray, ...] = ()
        self.total = 0

    @property
    def complete(self) -> bool:
        """True when no more frames are needed."""
        return self._left == 0

    def add(self, frame: AudioFrame) -> None:
        """Add a planar float frame."""
        samples = min(frame.samples, self._left)
        if not self._channels:
            self._channels = tuple(bytearray() for _ in frame.planes)
        for kept, plane in zip(self._channels, frame.planes, strict=True):
            kept.extend(memoryview(plane)[: samples * BYTES_PER_SAMPLE])
        self._left -= samples
        self.total += samples

    def full(self) -> Iterator[Planes]:
        """The blocks that are complete so far."""
        while self._channels and len(self._channels[0]) >= self._block_bytes:
            yield tuple(bytes(kept[: self._block_bytes]) for kept in self._channels)
            for kept in self._channels:
                del kept[: self._block_bytes]

    def rest(self) -> Iterator[Planes]:
        """The remaining samples as a last, shorter block, if there are any."""
        if self._channels and self._channels[0]:
            yield tuple(bytes(kept) for kept in self._channels)
            self._channels = ()
