import io
import wave

import numpy as np
import pytest

from fingerprint.domain.audio import SAMPLE_RATE, Pcm, Recording
from fingerprint.domain.problems import ProblemCode, TwitchAudioError
from fingerprint.providers.multipart import multipart
from fingerprint.providers.samples import narrow_samples, narrow_wave, sample_of, wide_wave
from tests.unit.catalog.music import tune


def tone(hertz: float, seconds: float = 2.0, loud: float = 0.5) -> Pcm:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return Pcm((loud * np.sin(2 * np.pi * hertz * times)).astype(np.float32)[np.newaxis])


def level(samples: bytes) -> float:
    return float(np.sqrt(np.mean(np.square(np.frombuffer(samples, "<i2") / 32_768))))


def test_a_short_recording_is_sent_whole() -> None:
    sample = sample_of(Recording(pcm=tune(1, 12.8)))
    assert (sample.start_seconds, sample.pcm.duration_seconds) == (0.0, 12.8)


def test_of_a_long_recording_the_loudest_part_is_sent() -> None:
    samples = np.full((1, 60 * SAMPLE_RATE), 0.01, np.float32)
    samples[0, 30 * SAMPLE_RATE : 42 * SAMPLE_RATE] = 0.5
    sample = sample_of(Recording(pcm=Pcm(samples)))
    assert (sample.start_seconds, sample.pcm.duration_seconds) == (30.0, 12.0)


@pytest.mark.parametrize("loud", [0.0, 1e-4])
@pytest.mark.parametrize("seconds", [6.0, 60.0])
def test_silence_is_never_sent(loud: float, seconds: float) -> None:
    with pytest.raises(TwitchAudioError) as raised:
        sample_of(Recording(pcm=tone(440, seconds, loud)))
    assert raised.value.code is ProblemCode.NO_AUDIO


def test_what_the_half_rate_can_hold_passes_and_the_rest_does_not() -> None:
    assert level(narrow_samples(tone(1000))) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert level(narrow_samples(tone(3000))) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    # Above half of the new rate it would be heard as another tone.
    assert level(narrow_samples(tone(5000))) < 1e-3


def test_the_files_say_what_they_hold() -> None:
    for content, rate in ((narrow_wave(tone(440)), 8_000), (wide_wave(tone(440)), 16_000)):
        with wave.open(io.BytesIO(content)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, rate)
            assert file.getnframes() == 2 * rate


def test_sound_that_is_too_loud_is_cut_and_not_wrapped() -> None:
    loud = tone(440)
    samples = np.frombuffer(narrow_samples(Pcm(loud.samples * 4)), "<i2")
    assert (samples.min(), samples.max()) == (-32_767, 32_767)


def test_a_value_with_a_line_break_is_no_field() -> None:
    with pytest.raises(ValueError, match="line break"):
        multipart({"access_key": "a\r\nb"}, {})
