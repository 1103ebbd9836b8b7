"""Segments made by FFmpeg in the forms that broadcasts come in: each is decoded, or refused with its reason.

Those in HE-AAC lie in the folder `he_aac`, whose README says how they were made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from fingerprint.domain.audio import Pcm
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media.containers import container_of
from fingerprint.media.decode import decode_bytes
from fingerprint.media.sound_filter import SoundFilter, lacks_sound
from tests.sounds import loudest_hertz

HE_AAC = Path(__file__).parent / "he_aac"
HERTZ = 440.0
SECONDS = 2.0
WRAP_SECONDS = 2**33 / 90_000
"""When the 33 bits of MPEG-TS's clock begin anew: after 26.5 hours."""

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What a segment is made as. `starts_at`: its first timestamp, in seconds. `phase`: where the tone goes on."""

    container: str = "mpegts"
    codec: str = "aac"
    rate: int = 48_000
    layout: str = "stereo"
    bit_rate: int = 160_000
    video: bool = False
    video_codec: str = "libx264"
    starts_at: float = 0.0


def segment(form: Form, *, first_second: float = 0.0) -> bytes:
    """Two seconds of a tone that goes on from segment to segment."""
    file = BytesIO()
    options = dict(FRAGMENTED) if form.container == "mp4" else {"mpegts_copyts": "1"}
    with av.open(file, "w", format=form.container, options=options) as out:
        video = _video(out, form.video_codec) if form.video else None
        sound = out.add_stream(form.codec, rate=form.rate, layout=form.layout)  # pyright: ignore[reportUnknownMemberType] - PyAV leaves its options open
        assert isinstance(sound, AudioStream)
        sound.bit_rate = form.bit_rate
        if video is not None:
            for number in range(round(SECONDS * 10)):
                frame = av.VideoFrame.from_ndarray(
                    np.full((36, 64, 3), 7 * number, dtype=np.uint8), format="rgb24"
                )
                frame.pts, frame.time_base = round(form.starts_at * 10) + number, Fraction(1, 10)
                out.mux(video.encode(frame))  # pyright: ignore[reportUnknownMemberType] - a packet's stream is left open
            out.mux(video.encode(None))  # pyright: ignore[reportUnknownMemberType] - likewise
        times = first_second + np.arange(round(SECONDS * form.rate)) / form.rate
        wave = (0.4 * np.sin(2 * np.pi * HERTZ * times)).astype(np.float32)
        channels = np.repeat(wave[np.newaxis], 1 if form.layout == "mono" else 2, axis=0)
        for first in range(0, channels.shape[1], 960):
            piece = np.ascontiguousarray(channels[:, first : first + 960])
            frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout=form.layout)
            frame.sample_rate, frame.time_base = form.rate, Fraction(1, form.rate)
            frame.pts = round(form.starts_at * form.rate) + first
            for resampled in _as_wanted(sound, frame):
                out.mux(sound.encode(resampled))  # pyright: ignore[reportUnknownMemberType] - likewise
        out.mux(sound.encode(None))  # pyright: ignore[reportUnknownMemberType] - likewise
    return file.getvalue()


def _as_wanted(stream: AudioStream, frame: av.AudioFrame) -> Sequence[av.AudioFrame]:
    """libopus wants its samples interleaved."""
    if stream.codec_context.name != "libopus":
        return [frame]
    resampler = av.AudioResampler(format="flt", layout=frame.layout.name, rate=frame.sample_rate)
    return [*resampler.resample(frame)]


def _video(out: OutputContainer, codec: str) -> VideoStream:
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    stream = out.add_stream(codec, rate=10, options=options)  # pyright: ignore[reportUnknownMemberType] - as above
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
    return stream


def decoded(content: bytes) -> Pcm:
    """As a capture decodes it, which tells the container from the first bytes."""
    container = container_of(content, has_init=False) or "mpegts"
    return decode_bytes(content, container=container, max_seconds=30.0)


def assert_the_tone(pcm: Pcm, seconds: float, *, abs_seconds: float = 0.12) -> None:
    assert pcm.duration_seconds == pytest.approx(seconds, abs=abs_seconds)
    assert loudest_hertz(pcm) == pytest.approx(HERTZ, abs=3)
    whole = pcm.mono
    for second in np.arange(0.25, pcm.duration_seconds - 0.5, 0.25):
        piece = whole[round(second * pcm.rate) : round((second + 0.2) * pcm.rate)]
        assert float(np.abs(piece).max()) > 0.2, f"a hole at {second} s"


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
@pytest.mark.parametrize("container", ["mpegts", "mp4", "adts"])
def test_aac_of_any_rate(container: str, rate: int) -> None:
    assert_the_tone(decoded(segment(Form(container=container, rate=rate, bit_rate=96_000))), SECONDS)


@pytest.mark.parametrize("bit_rate", [48_000, 128_000, 320_000])
@pytest.mark.parametrize("layout", ["mono", "stereo"])
def test_aac_of_any_bit_rate(layout: str, bit_rate: int) -> None:
    assert_the_tone(decoded(segment(Form(layout=layout, bit_rate=bit_rate))), SECONDS)


@pytest.mark.parametrize("name", ["v1.mpegts", "v1.mp4", "v1.adts", "v2.mpegts", "v2.mp4"])
def test_he_aac(name: str) -> None:
    content = (HE_AAC / name).read_bytes()
    with av.open(BytesIO(content)) as file:
        assert file.streams.audio[0].profile == ("HE-AAC" if name.startswith("v1") else "HE-AACv2")
    pcm = decoded(content)
    assert_the_tone(pcm, SECONDS, abs_seconds=0.2)
    left, right = np.abs(pcm.samples[:, 8_000:24_000]).max(axis=1)
    assert left / right == pytest.approx(2.0, rel=0.2), "also where the stereo image is a parameter"


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_he_aac_between_segments_of_plain_aac(name: str) -> None:
    plain, high = segment(Form()), (HE_AAC / f"{name}.mpegts").read_bytes()
    pcm = decoded(plain + high + high + plain)
    assert pcm.duration_seconds == pytest.approx(4 * SECONDS, abs=0.6)
    for second in (1.0, 3.0, 5.0, 7.0):
        assert loudest_hertz(pcm.cut(second - 0.4, 0.8)) == pytest.approx(HERTZ, abs=4)


@pytest.mark.parametrize("name", ["v1.mpegts", "v1.mp4", "v2.mpegts"])
def test_he_aac_cut_in_the_middle_of_a_frame(name: str) -> None:
    content = (HE_AAC / name).read_bytes()
    pcm = decoded(content[: round(len(content) * 0.6)])
    assert 0.2 < pcm.duration_seconds < SECONDS
    assert loudest_hertz(pcm) == pytest.approx(HERTZ, abs=4)


@pytest.mark.parametrize("container", ["mp4", "mpegts"])
def test_opus(container: str) -> None:
    assert_the_tone(decoded(segment(Form(container=container, codec="libopus"))), SECONDS)


@pytest.mark.parametrize(
    ("container", "codec"),
    [("mpegts", "ac3"), ("mpegts", "eac3"), ("mpegts", "libmp3lame"), ("mp4", "libmp3lame")],
)
@pytest.mark.parametrize("video", [False, True], ids=["sound", "picture"])
def test_sound_that_is_no_aac(container: str, codec: str, video: bool) -> None:
    content = segment(Form(container=container, codec=codec, video=video))
    assert_the_tone(decoded(content), SECONDS)


@pytest.mark.parametrize("codec", ["aac", "ac3", "eac3", "libmp3lame", "libopus"])
async def test_of_any_sound_in_mpegts_the_picture_is_left_out(codec: str) -> None:
    content = segment(Form(codec=codec, video=True))
    assert not lacks_sound(content)
    kept = SoundFilter()
    sound = await kept.feed(content) + kept.finish()
    with av.open(BytesIO(sound), format="mpegts") as file:
        assert [stream.type for stream in file.streams] == ["audio"]
    assert_the_tone(decoded(sound), SECONDS)


@pytest.mark.parametrize("container", ["mpegts", "mp4"])
@pytest.mark.parametrize("codec", ["aac", "libopus"])
def test_beside_a_picture_the_sound_is_taken(container: str, codec: str) -> None:
    content = segment(Form(container=container, codec=codec, video=True))
    with av.open(BytesIO(content), format=container) as file:
        assert file.streams[0].type == "video", "the picture comes first"
    assert_the_tone(decoded(content), SECONDS)


@pytest.mark.parametrize(
    ("container", "video_codec"), [("mp4", "libx265"), ("mpegts", "libx265"), ("mp4", "libsvtav1")]
)
def test_beside_a_picture_of_enhanced_broadcasting_the_sound_is_taken(container: str, video_codec: str) -> None:
    content = segment(Form(container=container, video=True, video_codec=video_codec, starts_at=40_000.0))
    assert_the_tone(decoded(content), SECONDS)


@pytest.mark.parametrize(
    "starts",
    [
        (0.0, 2.0, 4.0),
        (5_000.0, 5_002.0, 5_004.0),
        (100.0, 3_000.0, 3_002.0),
        (3_000.0, 10.0, 12.0),
        (50.0, 50.0, 50.0),
        (WRAP_SECONDS - 3, WRAP_SECONDS - 1, WRAP_SECONDS + 1),
        (WRAP_SECONDS - 1, WRAP_SECONDS + 1, WRAP_SECONDS + 3),
    ],
    ids=["steady", "large", "forward", "back", "repeated", "wraps-between", "wraps-within"],
)
@pytest.mark.parametrize("video", [False, True], ids=["sound", "picture"])
def test_timestamps_that_jump_or_wrap(starts: Sequence[float], video: bool) -> None:
    pieces = [
        segment(Form(starts_at=start, video=video), first_second=SECONDS * number)
        for number, start in enumerate(starts)
    ]
    assert_the_tone(decoded(b"".join(pieces)), 3 * SECONDS, abs_seconds=0.3)


@pytest.mark.parametrize("starts_at", [0.0, 90_000.0, 1_000_000.0])
def test_fragmented_mp4_of_a_broadcast_that_runs_for_days(starts_at: float) -> None:
    assert_the_tone(decoded(segment(Form(container="mp4", starts_at=starts_at))), SECONDS)


@pytest.mark.parametrize("container", ["mpegts", "adts", "mp4"])
@pytest.mark.parametrize("share", [0.35, 0.5, 0.77])
def test_cut_in_the_middle_of_a_frame(container: str, share: float) -> None:
    whole = segment(Form(container=container))
    pcm = decoded(whole[: round(len(whole) * share)])
    assert 0.2 < pcm.duration_seconds < SECONDS
    assert loudest_hertz(pcm) == pytest.approx(HERTZ, abs=3)


@pytest.mark.parametrize("container", ["mpegts", "adts"])
def test_begun_in_the_middle_of_a_frame(container: str) -> None:
    pieces = [segment(Form(container=container), first_second=SECONDS * number) for number in range(3)]
    name = "aac" if container == "adts" else container
    pcm = decode_bytes(b"".join(pieces)[1_001:], container=name, max_seconds=30.0)
    assert_the_tone(pcm, 3 * SECONDS, abs_seconds=0.2)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (segment(Form())[:300], "no audio to identify"),
        (segment(Form(container="mp4"))[:900], "no audio to identify"),
        (b"<html>not found</html>" * 50, "no audio to identify"),
    ],
    ids=["stump", "head-only", "page"],
)
def test_what_cannot_be_decoded_says_why(content: bytes, reason: str) -> None:
    with pytest.raises(TwitchAudioError, match=reason) as caught:
        decoded(content)
    assert caught.value.code is ProblemCode.NO_AUDIO
    assert caught.value.detail.endswith(".")
