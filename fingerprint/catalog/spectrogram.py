"""The short-time Fourier transform of sound, as logarithmic levels."""

from functools import cache
from typing import Final

import numpy as np
from numpy.fft import rfft
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from fingerprint.catalog.parameters import Parameters

FLOOR: Final = 1e-5
"""Magnitudes below this, 100 dB below full scale, are raised to it, so that digital silence is flat."""

_CHUNK_FRAMES: Final = 128
"""Frames per chunk, few enough for intermediate arrays to stay in the processor's cache."""


@cache
def _hann_window(length: int) -> NDArray[np.float32]:
    """A Hann window, with which a tone at full scale has a magnitude of 1."""
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    window *= np.float32(2 / window.sum())
    return window


def frame_count(samples: int, parameters: Parameters, *, hop: int) -> int:
    """How many frames a spectrogram of so many samples has."""
    return max(0, (samples - parameters.window) // hop + 1)


def spectrogram(
    samples: NDArray[np.float32], parameters: Parameters, *, hop: int, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Natural logarithm of the magnitudes, shape (frames, bins), float32; a tone at full scale is near 0.

    `samples`: shape (n,), at the parameters' rate. Frame i starts at sample i * `hop`; a frame that would
    reach past the end is left out, so sound shorter than a window has none. A Hann window is used. `out`: where
    the result is put, of its shape.
    """
    if len(samples) < parameters.window:
        return np.empty((0, parameters.bins), np.float32)
    window = _hann_window(parameters.window)
    frames = sliding_window_view(samples, parameters.window)[::hop]
    if out is None:
        out = np.empty((len(frames), parameters.bins), np.float32)
    levels: NDArray[np.float32] = out
    rows = min(len(frames), _CHUNK_FRAMES)
    windowed = np.empty((rows, parameters.window), np.float32)
    transformed = np.empty((rows, parameters.window // 2 + 1), np.complex64)
    for first in range(0, len(frames), _CHUNK_FRAMES):
        part = levels[first : first + _CHUNK_FRAMES]
        np.multiply(frames[first : first + _CHUNK_FRAMES], window, out=windowed[: len(part)])
        # NumPy computes in float32 here; its stubs know of float64 only.
        spectrum = transformed[: len(part)]
        rfft(windowed[: len(part)], axis=1, out=spectrum)  # pyright: ignore[reportArgumentType] - see above
        spectra = spectrum[:, : parameters.bins]
        # Half the logarithm of the power, which avoids a square root.
        np.add(spectra.real**2, spectra.imag**2, out=part)
        np.log(np.add(part, np.float32(FLOOR**2), out=part), out=part)
        part *= np.float32(0.5)
    return levels
