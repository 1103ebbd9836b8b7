"""The parameters that determine a sound's landmarks. Fingerprints can be compared only if these are equal."""

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Final

from fingerprint.domain.audio import SAMPLE_RATE

BIN_BITS: Final = 9
INTERVAL_BITS: Final = 7
LAPSE_BITS: Final = 6
HASH_BITS: Final = BIN_BITS + INTERVAL_BITS + LAPSE_BITS
"""A landmark's hash: the anchor's frequency, the interval to its target and the time between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The fingerprint's constants.

    A frame is `window` samples long; in a catalog one starts every `hop` samples. A recording has
    `phases` times as many, because the positions of the catalog's frames in it are unknown.

    Peaks: a bin that is the loudest within `peak_frames` frames and `peak_bins` bins on each side. The loudest
    `quota` of them in each band (`band_edges_hz`) and each `block_frames` frames are kept, so that every part
    of the spectrum is represented and not only the loudest.

    Landmarks: each peak (anchor) is paired with its first `fan_out` successors that lie 1 to `lapse_frames`
    frames later and at most `interval_bins` bins away.
    """

    rate: int = SAMPLE_RATE
    window: int = 1024
    hop: int = 512
    phases: int = 4
    band_edges_hz: tuple[int, ...] = (150, 400, 750, 1200, 1800, 2600, 3600, 5000, 7800)
    peak_frames: int = 2
    peak_bins: int = 4
    block_frames: int = 16
    quota: int = 3
    lapse_frames: int = 40
    interval_bins: int = 48
    fan_out: int = 2

    @property
    def bins(self) -> int:
        """The number of frequency bins; the one at half the sample rate is left out."""
        return self.window // 2

    @property
    def frames_per_second(self) -> float:
        """The number of frames per second in a catalog."""
        return self.rate / self.hop

    @property
    def band_edges(self) -> tuple[int, ...]:
        """The bands' edges as bins; band i is edges[i] to edges[i + 1], the end excluded."""
        return tuple(round(hertz * self.window / self.rate) for hertz in self.band_edges_hz)

    @property
    def identity(self) -> str:
        """Identifies fingerprints that can be compared: a version, and a digest of all parameters."""
        decides = {name: value for name, value in dataclasses.asdict(self).items() if name != "phases"}
        digest = hashlib.sha256(repr((HASH_BITS, sorted(decides.items()))).encode()).hexdigest()
        return f"landmarks-{FINGERPRINT_VERSION}-{digest[:8]}"

    @property
    def identities(self) -> "Identities":
        """What a catalog remembers of the fingerprint that made it."""
        decides = {name: value for name, value in dataclasses.asdict(self).items() if name not in _PAIRING}
        digest = hashlib.sha256(repr(sorted(decides.items())).encode()).hexdigest()
        return Identities(
            landmarks=self.identity,
            peaks=f"peaks-{PEAKS_VERSION}-{digest[:8]}",
            frames=f"frames-{self.rate}-{self.window}-{self.hop}",
        )


_PAIRING: Final = ("phases", "lapse_frames", "interval_bins", "fan_out")
"""The parameters that do not matter for a catalog's peaks, but for how they are paired or searched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identities:
    """What decides whether two catalogs can be compared, from the whole to the parts.

    `landmarks`: equal for equal fingerprints. `peaks`: equal where only the pairing of peaks differs, so that
    landmarks can be derived from stored peaks. `frames`: equal where peaks mean the same times and frequencies.
    The last two are empty for a catalog of which this is not known.
    """

    landmarks: str
    peaks: str = ""
    frames: str = ""

    @staticmethod
    def of_landmarks(landmarks: str) -> "Identities":
        """Those of a catalog that remembers the first only, as earlier versions wrote it."""
        return _EARLIER if landmarks == _EARLIER.landmarks else Identities(landmarks=landmarks)

    def same_peaks(self, other: "Identities") -> bool:
        """Whether landmarks of one can be derived from the peaks of the other."""
        return self.landmarks == other.landmarks or (bool(self.peaks) and self.peaks == other.peaks)

    def same_frames(self, other: "Identities") -> bool:
        """Whether peaks of both are at the same times and frequencies, even if others are chosen."""
        return self.same_peaks(other) or (bool(self.frames) and self.frames == other.frames)

    def can_search(self, other: "Identities") -> bool:
        """Whether a catalog of the other can be searched: its peaks are ours, and pairs have the same hashes."""
        return self.same_peaks(other) and _version(self.landmarks) == _version(other.landmarks)


def _version(landmarks: str) -> str:
    return landmarks.rpartition("-")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How thoroughly a recording is searched for landmarks.

    More landmarks than a catalog stores are needed: what is mixed over the music pushes the music's own peaks down
    the list (`quota`), and puts others between them (`fan_out`). `phases`: those that are computed.
    `side`: whether the difference of left and right is used too, from which a centered voice is gone.
    """

    quota: int
    fan_out: int
    phases: tuple[int, ...]
    side: bool


QUICK: Final = Effort(quota=3, fan_out=3, phases=(0, 2), side=False)
FULL: Final = Effort(quota=5, fan_out=6, phases=(0, 1, 2, 3), side=True)

FINGERPRINT_VERSION: Final = 2
"""Incremented when the method changes in a way that no parameter shows: peaks, pairs or their hashes."""

PEAKS_VERSION: Final = 1
"""Incremented, too, when other peaks are found than before."""

_EARLIER: Final = Identities(
    landmarks="landmarks-2-513dafb7", peaks="peaks-1-4d4f90a4", frames="frames-16000-1024-512"
)
"""The fingerprint of the catalogs whose manifests do not name their peaks."""

DEFAULT: Final = Parameters()
