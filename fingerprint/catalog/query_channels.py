"""The channels of a piece of sound to search for; another thread may compute the second one meanwhile."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from fingerprint.catalog.query_levels import ChannelLevels, QueryLevels, prepared_channel

LEAST_SAMPLES: Final = 1 << 16
"""Sound that is shorter, by some 4 s, is not worth a thread."""

Levels = NDArray[np.float32]


class _Channel:
    """One channel's spectrogram, and that prepared for looking up peaks, each computed once."""

    def __init__(self, levels: Levels | Callable[[], Levels]) -> None:
        self._compute = levels if callable(levels) else None
        self._levels = None if callable(levels) else levels
        self._prepared: ChannelLevels | None = None

    def levels(self) -> Levels:
        if self._levels is None:
            assert self._compute is not None, "it is known or computed"
            self._levels = self._compute()
        return self._levels

    @property
    def is_known(self) -> bool:
        """Whether the spectrogram need not be computed any more."""
        return self._levels is not None

    def prepared(self) -> ChannelLevels:
        if self._prepared is None:
            self._prepared = prepared_channel(self.levels())
        return self._prepared


class QueryChannels:
    """The spectrograms of the middle and, in stereo sound, of the side. Used by one thread at a time.

    `channels`: each one's spectrogram, or what returns it. `samples`: how long the sound is. `prepare`: what
    returns them prepared, where that takes less than preparing each. `helper` has a thread for the side; without
    it, one is begun when it is needed.
    """

    def __init__(
        self,
        channels: Sequence[Levels | Callable[[], Levels]],
        *,
        samples: int,
        prepare: Callable[[], QueryLevels] | None = None,
        helper: Executor | None = None,
    ) -> None:
        self._middle, *self._others = map(_Channel, channels)
        self._prepare = prepare
        self._helper = helper
        self._worth_a_thread = bool(self._others) and samples >= LEAST_SAMPLES
        self._begun: Future[None] | None = None
        self._prepared: QueryLevels | None = None

    @property
    def middle(self) -> Levels:
        """The spectrogram of the middle."""
        return self._middle.levels()

    def levels(self) -> list[Levels]:
        """The spectrograms of all channels."""
        if not all(channel.is_known for channel in self._others):
            self._begin(_Channel.levels)
        middle = self._middle.levels()
        self._wait()
        return [middle, *(channel.levels() for channel in self._others)]

    def begin(self) -> None:
        """Begin to prepare the side, in a thread where it is worth one. Only what needs the side waits for it."""
        if self._prepare is None:
            self._begin(_Channel.prepared)

    def prepare_middle(self) -> None:
        """Prepare the middle for looking up peaks."""
        if self._prepare is None:
            self._middle.prepared()

    def prepared(self) -> QueryLevels:
        """All channels, prepared for looking up peaks."""
        if self._prepared is None:
            self._prepared = self._joined() if self._prepare is None else self._prepare()
        return self._prepared

    def _joined(self) -> QueryLevels:
        self._begin(_Channel.prepared)
        middle = self._middle.prepared()
        self._wait()
        return QueryLevels.joined([middle, *(channel.prepared() for channel in self._others)])

    def _begin(self, work: Callable[[_Channel], object]) -> None:
        """Begin work on the side, which NumPy does without the interpreter's lock."""
        if not self._worth_a_thread or self._begun is not None:
            return

        def work_on_others() -> None:
            for channel in self._others:
                work(channel)

        if self._helper is not None:
            self._begun = self._helper.submit(work_on_others)
            return
        with_one_thread = ThreadPoolExecutor(1, thread_name_prefix="side")
        self._begun = with_one_thread.submit(work_on_others)
        with_one_thread.shutdown(wait=False)

    def _wait(self) -> None:
        if self._begun is not None:
            self._begun.result()
            self._begun = None
