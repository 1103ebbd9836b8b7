import numpy as np
import pytest

from fingerprint.domain.audio import Pcm
from tests.unit.catalog.music import tune


def stereo(left: np.ndarray, right: np.ndarray) -> Pcm:
    return Pcm(np.ascontiguousarray(np.stack([left, right]), np.float32))


SOUND = tune(3).samples[0]
HUM = np.sin(np.arange(len(SOUND)) * 0.02).astype(np.float32)


@pytest.mark.parametrize(
    ("pcm", "mono", "side"),
    [
        (stereo(SOUND, SOUND), SOUND, 0 * SOUND),
        (stereo(SOUND, -SOUND), SOUND, 0 * SOUND),
        (stereo(SOUND, 0 * SOUND), SOUND / 2, SOUND / 2),
        (stereo(0 * SOUND, SOUND), SOUND / 2, -SOUND / 2),
        (stereo(SOUND + 0.01 * HUM, -SOUND + 0.01 * HUM), SOUND, 0.01 * HUM),
        (stereo(0 * SOUND, 0 * SOUND), 0 * SOUND, 0 * SOUND),
    ],
    ids=["equal", "opposite", "left only", "right only", "nearly opposite", "silent"],
)
def test_channels_that_cancel_each_other_out_are_heard(pcm: Pcm, mono: np.ndarray, side: np.ndarray) -> None:
    assert pcm.side is not None
    np.testing.assert_allclose(pcm.mono, mono, atol=1e-6)
    np.testing.assert_allclose(pcm.side, side, atol=1e-6)
