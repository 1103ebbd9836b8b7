"""Sound and picture in Twitch's formats, made with the libraries inside PyAV's wheels; no ffmpeg program.

A program is encoded once, to AAC-LC frames of 1024 samples, as a ring: its end runs into its
beginning without a gap, so a channel can repeat it without end, with timestamps that only grow. The frames are
kept on disk as an ADTS file. Segments are cut from the ring when they are asked for (half a millisecond each).
"""
# PyAV's stubs leave the type of a packet's stream open:
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeArgument=false, reportUnknownParameterType=false

import hashlib
import io
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.video.stream import VideoStream

from simulator.synth import RATE, Sound

FRAME: Final = 1024
"""The samples in each AAC frame."""

TICKS: Final = 90_000
"""MPEG-TS ticks per second; all positions in the simulator are whole ticks."""

FRAME_TICKS: Final = FRAME * TICKS // RATE
"""The duration of an AAC frame in ticks: 1920."""

_BIT_RATE: Final = 160_000
FPS: Final = 12
"""Pictures in a second."""

_PICTURE: Final = (284, 160)
_GOP_FRAMES: Final = 10 * FPS + 2
_X264: Final = "keyint=100000:scenecut=0:bframes=0:ref=1:threads=1"
_FRAMES_PER_PACKET: Final = 6
_ADTS_BYTES: Final = 7
_ENCODER: Final = b"aac-fast-160k-1"


@dataclass(frozen=True, slots=True, eq=False)
class AacRing:
    """Encoded sound that repeats without a gap. `frames`: AAC with ADTS headers, 1024 samples each."""

    frames: tuple[bytes, ...] = field(repr=False)
    digest: str

    @property
    def ticks(self) -> int:
        """The length of one repetition in ticks."""
        return len(self.frames) * FRAME_TICKS

    @property
    def seconds(self) -> float:
        """The length of one repetition in seconds."""
        return self.ticks / TICKS

    def cut(self, first: int, last: int) -> list[bytes]:
        """The frames with absolute numbers first..last-1, repeating the ring as needed."""
        count = len(self.frames)
        return [self.frames[number % count] for number in range(first, last)]


def frame_at(ticks: int) -> int:
    """The number of the frame boundary nearest to a position in ticks."""
    return (ticks + FRAME_TICKS // 2) // FRAME_TICKS


def read_sound(path: Path, start_seconds: float = 0.0, seconds: float | None = None) -> Sound:
    """Part of any audio file at 48 kHz stereo, float32, shape (2, n); shorter when the file ends before."""
    first = round(start_seconds * RATE)
    wanted = None if seconds is None else first + round(seconds * RATE)
    pieces: list[Sound] = []
    have = 0
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        for frame in container.decode(container.streams.audio[0]):
            for piece in resampler.resample(frame):
                pieces.append(_samples(piece))
                have += piece.samples
            if wanted is not None and have >= wanted:
                break
        else:
            pieces += [_samples(piece) for piece in resampler.resample(None)]
    whole = np.concatenate(pieces, axis=1) if pieces else np.zeros((2, 0), dtype=np.float32)
    return np.ascontiguousarray(whole[:, first:wanted])


def _samples(frame: av.AudioFrame) -> Sound:
    return frame.to_ndarray().astype(np.float32, copy=False)


def encode_aac(sound: Sound) -> list[bytes]:
    """Raw AAC frames; the first one contains only the encoder's delay, frame k+1 the samples from k * 1024 on."""
    packets: list[bytes] = []
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="adts") as container:
        stream = container.add_stream("aac", rate=RATE, layout="stereo", options={"aac_coder": "fast"})
        stream.bit_rate = _BIT_RATE
        for first in range(0, sound.shape[1], RATE):
            piece = np.ascontiguousarray(sound[:, first : first + RATE])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
            frame.sample_rate = RATE
            frame.pts = first
            packets += [bytes(packet) for packet in stream.encode(frame)]
        packets += [bytes(packet) for packet in stream.encode(None)]
    return packets


def encode_ring(key: str, cache: Path, make: Callable[[], Sound]) -> AacRing:
    """Encode a program, or take it from the folder `cache`, where it lies under `key`: a digest of all that it
    is made of. The length is cut to whole frames. Raises ValueError for less than 8 frames of sound.

    CPU work of about a hundredth of the program's length, the first time: call it in a thread.
    """
    digest = hashlib.sha256(_ENCODER + key.encode()).hexdigest()[:24]
    path = cache / f"{digest}.aac"
    if path.exists():
        try:
            return AacRing(tuple(_from_adts(path.read_bytes())), digest)
        except ValueError:
            path.unlink(missing_ok=True)
    sound = make()
    count = sound.shape[1] // FRAME
    if count < 8:
        raise ValueError("a program needs at least 8 frames of sound")
    sound = sound[:, : count * FRAME]
    bent = np.concatenate([sound[:, -2 * FRAME :], sound, sound[:, : 3 * FRAME]], axis=1)
    frames = tuple(_adts_header(len(frame)) + frame for frame in encode_aac(bent)[3 : 3 + count])
    write_atomically(path, b"".join(frames))
    return AacRing(frames, digest)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that readers see either all of it or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)


def _adts_header(length: int) -> bytes:
    """An ADTS header (ISO/IEC 13818-7, 6.2): AAC-LC, 48 kHz, stereo, no checksum."""
    size = length + _ADTS_BYTES
    return bytes((0xFF, 0xF1, 0x4C, 0x80 | (size >> 11), (size >> 3) & 0xFF, ((size & 7) << 5) | 0x1F, 0xFC))


def _from_adts(content: bytes) -> Iterable[bytes]:
    at = 0
    while at + _ADTS_BYTES <= len(content):
        size = ((content[at + 3] & 3) << 11) | (content[at + 4] << 3) | (content[at + 5] >> 5)
        if content[at] != 0xFF or size <= _ADTS_BYTES or at + size > len(content):
            raise ValueError("a cached program is damaged")
        yield content[at : at + size]
        at += size


class Muxer:
    """Packs encoded frames into MPEG-TS segments, fragmented MP4 and MP4 files.

    Holds the codec parameters and a picture sequence, made once (about 20 ms), and a cache of the newest segments.
    For one thread at a time.
    """

    def __init__(self, *, remembered_segments: int = 256) -> None:
        self._template: InputContainer = av.open(io.BytesIO(template_file()), "r", format="mp4")
        self._audio: AudioStream = self._template.streams.audio[0]
        self._video: VideoStream = self._template.streams.video[0]
        self._pictures = [bytes(packet) for packet in self._template.demux(self._video) if packet.size]
        self._recent: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._limit = remembered_segments
        self._filler = b""

    def close(self) -> None:
        """Close the template containers that hold the codec parameters."""
        self._template.close()

    def segment(
        self,
        ring: AacRing,
        start: int,
        end: int,
        *,
        pts: int,
        video: bool = False,
        fragmented: bool = False,
        silent: bool = False,
        late: int = 0,
        init_number: int = 0,
        picture_bytes: int = 0,
    ) -> bytes:
        """One segment: the ring's sound between two positions (ticks), stamped as if position 0 were `pts`.

        Sound is cut at the nearest frame boundary, so segments that touch are seamless. MPEG-TS starts with
        PAT and PMT; a fragmented one is `moof` and `mdat`, for the header that `init` gives. `silent` leaves the
        audio track out, which only works with a picture; `late` leaves out so many ticks of sound at the start.
        `init_number`: the header that a fragmented one needs. `picture_bytes` are added to each picture.
        """
        key = (ring.digest, start, end, pts, video, fragmented, silent, late, init_number)
        self._filler = _filler(picture_bytes)
        made = None if picture_bytes else self._recent.get(key)
        if made is None:
            first, last = frame_at(min(start + late, end)), frame_at(end)
            sound = [] if silent else ring.cut(first, last)
            if fragmented:
                pictures = max(1, (end - start) * FPS // TICKS) if video else 0
                made = self._fragment(
                    sound, first * FRAME + pts * RATE // TICKS, pictures, start + pts, _first_track(init_number)
                )
            else:
                made = self._transport_stream(
                    sound, first * FRAME_TICKS + pts, start + pts, end - start, video=video
                )
            if picture_bytes:
                return made  # too large to remember
            self._recent[key] = made
            if len(self._recent) > self._limit:
                self._recent.popitem(last=False)
        else:
            self._recent.move_to_end(key)
        return made

    def init(self, *, video: bool = False, number: int = 0) -> bytes:
        """The header (`EXT-X-MAP`) of fragmented segments, with a picture track if `video`.

        Those of another `number` number their tracks differently, so that only their own segments fit.
        """
        whole = bytearray(self._fragmented([_SILENT_FRAME], pictures=int(video)))
        header = whole[: _find_box(whole, b"moof")]
        _renumber(header, {b"tkhd": 16, b"trex": 8}, _first_track(number))
        return bytes(header)

    def write_mp4(self, frames: Sequence[bytes], path: Path) -> None:
        """A clip's file: raw AAC (the first frame is the encoder's delay) and a small picture, `moov` in front."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
        os.close(handle)
        try:
            with av.open(name, "w", format="mp4", options={"movflags": "faststart"}) as container:
                pictures = (len(frames) - 1) * FRAME_TICKS * FPS // TICKS
                self._write(container, frames, FRAME_TICKS, -FRAME_TICKS, pictures=pictures, pictures_pts=0)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)

    def _transport_stream(
        self, sound: Sequence[bytes], sound_pts: int, pictures_pts: int, length: int, *, video: bool
    ) -> bytes:
        buffer = io.BytesIO()
        options = {"mpegts_copyts": "1", "mpegts_flags": "initial_discontinuity"}
        with av.open(buffer, "w", format="mpegts", options=options) as container:
            pictures = max(1, length * FPS // TICKS) if video else 0
            # Several frames in each packet, as on Twitch: muxing is faster, and the file smaller.
            packets = [
                b"".join(sound[at : at + _FRAMES_PER_PACKET]) for at in range(0, len(sound), _FRAMES_PER_PACKET)
            ]
            ticks = _FRAMES_PER_PACKET * FRAME_TICKS
            self._write(container, packets, ticks, sound_pts, pictures=pictures, pictures_pts=pictures_pts)
        return buffer.getvalue()

    def _write(
        self,
        container: OutputContainer,
        sound: Sequence[bytes],
        sound_ticks: int,
        sound_pts: int,
        *,
        pictures: int,
        pictures_pts: int,
    ) -> None:
        """Mux both tracks in order of time. Times in ticks; `sound_ticks` is the duration of a packet."""
        audio = container.add_stream_from_template(self._audio) if sound else None
        video = container.add_stream_from_template(self._video) if pictures else None
        shown = 0
        for number, frame in enumerate(sound):
            pts = sound_pts + number * sound_ticks
            while video is not None and shown < pictures and pictures_pts + shown * _PICTURE_TICKS <= pts:
                self._mux_picture(container, video, shown, pictures_pts)
                shown += 1
            if audio is not None:
                container.mux_one(_packet(frame, audio, pts, sound_ticks))
        while video is not None and shown < pictures:
            self._mux_picture(container, video, shown, pictures_pts)
            shown += 1

    def _mux_picture(self, container: OutputContainer, video: VideoStream, number: int, start: int) -> None:
        index = number % len(self._pictures)
        packet = _packet(
            self._pictures[index] + self._filler, video, start + number * _PICTURE_TICKS, _PICTURE_TICKS
        )
        packet.is_keyframe = index == 0
        container.mux_one(packet)

    def _fragmented(self, sound: Sequence[bytes], pictures: int) -> bytes:
        buffer = io.BytesIO()
        flags = "empty_moov+default_base_moof+frag_keyframe+omit_tfhd_offset"
        with av.open(
            buffer,
            "w",
            format="mp4",
            options={"movflags": flags, "frag_duration": "60000000", "use_editlist": "0"},
        ) as container:
            self._write(container, sound, FRAME_TICKS, 0, pictures=pictures, pictures_pts=0)
        return buffer.getvalue()

    def _fragment(
        self, sound: Sequence[bytes], decode_time: int, pictures: int, pictures_pts: int, first_track: int
    ) -> bytes:
        """`moof` and `mdat` with their place in time since the broadcast began written in: that of the sound in
        samples, that of the pictures in ticks.
        """
        whole = bytearray(self._fragmented([frame[_ADTS_BYTES:] for frame in sound], pictures))
        rates = _timescales(whole)
        at = 0
        while (at := whole.find(b"tfdt", at)) >= 0:
            head = whole.rfind(b"tfhd", 0, at) + 8  # after the type come one byte of version and three of flags
            rate = rates[int.from_bytes(whole[head : head + 4], "big")]
            time = decode_time if rate == RATE else pictures_pts * rate // TICKS
            whole[at + 8 : at + 16] = time.to_bytes(8, "big")
            at += 16
        # Without sound, the picture's track is the only one, and not the first.
        _renumber(whole, {b"tfhd": 8}, first_track if sound else first_track + 1)
        end = whole.rfind(b"mfra") - 4
        return bytes(whole[_find_box(whole, b"moof") : end if end > 0 else len(whole)])


_PICTURE_TICKS: Final = TICKS // FPS


def _filler(count: int) -> bytes:
    """A unit of H.264 that shows nothing, with its length in front (ITU-T H.264, 7.3.2.7); empty for 0 bytes."""
    return count.to_bytes(4, "big") + b"\x0c" + b"\xff" * (count - 2) + b"\x80" if count > 1 else b""


_SILENT_FRAME: Final = bytes.fromhex("2110049400")


def _packet(content: bytes, stream: Stream, pts: int, duration: int) -> av.Packet:
    packet = av.Packet(content)
    packet.stream = stream
    packet.time_base = Fraction(1, TICKS)
    packet.pts = packet.dts = pts
    packet.duration = duration
    packet.is_keyframe = True
    return packet


def _first_track(init_number: int) -> int:
    return 1 + init_number % 2 * 16


def _renumber(content: bytearray, places: Mapping[bytes, int], first: int) -> None:
    """Number tracks from `first` on instead of 1; `places`: where the number is, counted from a box's name."""
    if first == 1:
        return
    for name, place in places.items():
        at = 0
        while (at := content.find(name, at)) >= 0:
            number = content[at + place : at + place + 4]
            content[at + place : at + place + 4] = (int.from_bytes(number, "big") - 1 + first).to_bytes(4, "big")
            at += 4


def remuxed(
    content: bytes, *, sound_from: float = 0.0, picture_mib: int = 0, description_last: bool = False
) -> bytes:
    """An MP4 file without the sound before `sound_from` seconds, and with a picture of so many MiB more.

    Its description (`moov`) comes first, or last.
    """
    with tempfile.TemporaryDirectory() as folder, av.open(io.BytesIO(content), "r", format="mp4") as source:
        path = Path(folder) / "clip.mp4"
        pictures = max(1, source.streams.video[0].frames)
        options = {} if description_last else {"movflags": "faststart"}
        with av.open(str(path), "w", format="mp4", options=options) as target:
            streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
            for packet in source.demux():
                if packet.dts is None or packet.pts is None:
                    continue
                if packet.stream.type == "audio" and packet.pts * packet.time_base < sound_from:
                    continue
                target.mux(_of_stream(packet, streams[packet.stream_index], (picture_mib << 20) // pictures))
        return path.read_bytes()


def _of_stream(packet: av.Packet, stream: Stream, picture_bytes: int) -> av.Packet:
    """The packet for another stream; one of a picture with so many bytes more."""
    if picture_bytes and packet.stream.type == "video":
        copy = av.Packet(bytes(packet) + _filler(picture_bytes))
        copy.time_base, copy.pts, copy.dts, copy.duration = (
            packet.time_base,
            packet.pts,
            packet.dts,
            packet.duration,
        )
        copy.is_keyframe = packet.is_keyframe
        packet = copy
    packet.stream = stream
    return packet


def _find_box(content: bytes | bytearray, kind: bytes) -> int:
    at = 0
    while at + 8 <= len(content):
        if content[at + 4 : at + 8] == kind:
            return at
        at += int.from_bytes(content[at : at + 4], "big")
    raise ValueError(f"there is no {kind!r} box")


def _timescales(content: bytes | bytearray) -> dict[int, int]:
    """The units per second of each track, by its id, in a header whose boxes are of version 0."""
    found: dict[int, int] = {}
    at = 0
    while (at := content.find(b"tkhd", at)) >= 0:
        media = content.index(b"mdhd", at)
        found[int.from_bytes(content[at + 16 : at + 20], "big")] = int.from_bytes(
            content[media + 16 : media + 20], "big"
        )
        at = media
    return found


def template_file() -> bytes:
    """A tiny MP4 with one AAC and one H.264 track, as the source of codec parameters and pictures."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        audio = container.add_stream("aac", rate=RATE, layout="stereo")
        audio.bit_rate = _BIT_RATE
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        video.width, video.height = _PICTURE
        video.pix_fmt = "yuv420p"
        video.codec_context.options = {
            "x264-params": _X264,
            "crf": "36",
        }
        for number in range(_GOP_FRAMES):
            container.mux(video.encode(_picture(number)))
        container.mux(video.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((2, 4 * FRAME), np.float32), format="fltp", layout="stereo")
        silence.sample_rate = RATE
        silence.pts = 0
        container.mux(audio.encode(silence))
        container.mux(audio.encode(None))
    return buffer.getvalue()


def _picture(number: int) -> av.VideoFrame:
    """A test picture: a bar that moves over a violet background."""
    width, height = _PICTURE
    planes = np.full((height * 3 // 2, width), 144, dtype=np.uint8)  # luma, then both chroma planes
    planes[:height] = 40
    left = number * 2 % (width - 24)
    planes[height // 3 : 2 * height // 3, left : left + 24] = 150
    frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
    frame.pts = number
    return frame
