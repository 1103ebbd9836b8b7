from pathlib import Path

import numpy as np
import pytest

from fingerprint.domain.audio import SAMPLE_RATE
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.media import planes
from fingerprint.media.decode import decode_blocks, decode_bytes
from fingerprint.media.pcm import pcm_of
from tests.sounds import FORMATS, loudest_hertz, tone


def test_workers_and_the_domain_agree_on_the_rate() -> None:
    assert planes.RATE == SAMPLE_RATE


@pytest.mark.parametrize("container", FORMATS)
def test_every_usual_format_is_decoded(container: str) -> None:
    pcm = decode_bytes(tone(container), container=container, max_seconds=90)
    assert pcm.rate == SAMPLE_RATE
    assert pcm.samples.shape[0] == 2
    assert pcm.duration_seconds == pytest.approx(6.0, abs=0.1)
    assert loudest_hertz(pcm) == pytest.approx(440, abs=2)
    left, right = (float(np.sqrt((channel**2).mean())) for channel in list(pcm.samples))
    assert left == pytest.approx(0.4 / 2**0.5, rel=0.1)
    assert right == pytest.approx(left / 2, rel=0.1), "the channels stay apart"


@pytest.mark.parametrize(("channels", "kept"), [(1, 1), (2, 2), (6, 2)])
def test_mono_stays_mono_and_more_becomes_stereo(channels: int, kept: int) -> None:
    pcm = decode_bytes(tone("flac", channels=channels), container="flac", max_seconds=90)
    assert pcm.samples.shape[0] == kept
    assert loudest_hertz(pcm) == pytest.approx(440, abs=2)


def test_fragmented_mp4_is_decoded() -> None:
    pcm = decode_bytes(tone("mp4", fragmented=True), container="mp4", max_seconds=90)
    assert pcm.duration_seconds == pytest.approx(6.0, abs=0.1)


def test_no_more_than_the_seconds_asked_for() -> None:
    assert decode_bytes(tone(), container="mpegts", max_seconds=2.5).samples.shape[1] == 40_000


def test_segments_joined_end_to_end_are_one_sound_whatever_their_timestamps() -> None:
    joined = tone(seconds=2.0) + tone(seconds=2.0) + tone(seconds=2.0)
    pcm = decode_bytes(joined, container="mpegts", max_seconds=90)
    assert pcm.duration_seconds == pytest.approx(6.0, abs=0.2)
    assert loudest_hertz(pcm) == pytest.approx(440, abs=2)


def test_a_stream_that_changes_its_rate_and_channels_goes_on() -> None:
    changed = tone("aac", seconds=3.0) + tone("aac", seconds=3.0, channels=1)
    pcm = decode_bytes(changed, container="aac", max_seconds=90)
    assert pcm.samples.shape[0] == 2
    assert pcm.duration_seconds == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize("container", ["mpegts", "mp4", "aac", "flac"])
def test_cut_input_gives_what_is_there(container: str) -> None:
    whole = tone(container, fragmented=container == "mp4")
    pcm = decode_bytes(whole[: len(whole) * 2 // 3], container=container, max_seconds=90)
    assert 2.0 < pcm.duration_seconds < 5.5
    assert loudest_hertz(pcm) == pytest.approx(440, abs=2)


@pytest.mark.parametrize("container", ["mpegts", "mp4", "aac", "wav"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100_000, b"<html></html>", b"G" * 18_800, b"#EXTM3U\nfile:///x\n"]
)
def test_what_is_no_sound_is_no_audio_with_a_reason(container: str, content: bytes) -> None:
    with pytest.raises(TwitchAudioError) as caught:
        decode_bytes(content, container=container, max_seconds=90)
    assert caught.value.code is ProblemCode.NO_AUDIO
    assert "no audio to identify: this" in caught.value.detail


def test_a_file_comes_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "whatever.bin"
    path.write_bytes(tone("flac", seconds=7.0))
    blocks = list(decode_blocks(path, block_seconds=3.0))
    assert [block.duration_seconds for block in blocks] == pytest.approx([3.0, 3.0, 1.0], abs=0.01)
    whole = decode_bytes(path.read_bytes(), container="flac", max_seconds=90)
    assert np.array_equal(np.concatenate([block.samples for block in blocks], axis=1), whole.samples)


@pytest.mark.parametrize("name", ["text.mp3", "folder", "missing.mp3", "list.m3u8"])
def test_files_that_are_no_sound(tmp_path: Path, name: str) -> None:
    (tmp_path / "text.mp3").write_text("la la la")
    (tmp_path / "folder").mkdir()
    (tmp_path / "sound.flac").write_bytes(tone("flac", seconds=1.0))
    (tmp_path / "list.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{tmp_path}/sound.flac\n#EXT-X-ENDLIST\n"
    )
    with pytest.raises(TwitchAudioError) as caught:
        list(decode_blocks(tmp_path / name))
    assert caught.value.code is ProblemCode.NO_AUDIO


def test_damaged_samples_are_tamed() -> None:
    wild = np.array([0.5, np.nan, np.inf, -np.inf, 1e30, -1e30], dtype=np.float32)
    assert pcm_of([(wild.tobytes(),)]).samples.tolist() == [[0.5, 0.0, 4.0, -4.0, 4.0, -4.0]]


def test_blocks_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="no sound"):
        pcm_of([])
    with pytest.raises(ValueError, match="no sound"):
        pcm_of([(b"",), (b"", b"")])
