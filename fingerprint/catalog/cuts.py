"""Cuts a recording that is decoded block by block into its songs, without keeping more than a block."""

from collections.abc import Iterable, Iterator, Sequence

from fingerprint.domain.audio import Pcm

Cut = tuple[float, float]
"""Where a song begins and ends, in seconds; an end of 0 is the recording's."""


def cut_blocks(blocks: Iterable[Pcm], cuts: Sequence[Cut]) -> Iterator[Iterator[Pcm]]:
    """The blocks of each song, one song after the other. Cuts are in order of time and do not overlap.

    What is left of a song's blocks is passed over when the next song is asked for.
    """
    left = _Left(iter(blocks))
    for cut in cuts:
        song = left.until(cut)
        yield song
        for _ in song:
            pass


class _Left:
    """The part of a recording that no song has taken yet."""

    def __init__(self, blocks: Iterator[Pcm]) -> None:
        self._blocks = blocks
        self._block: Pcm | None = None
        self._at = 0  # the number of the first sample of `_block`

    def until(self, cut: Cut) -> Iterator[Pcm]:
        """The blocks of a song."""
        while (block := self._next()) is not None:
            first, end = (round(seconds * block.rate) for seconds in cut)
            length = block.samples.shape[1]
            if self._at + length <= first:
                self._pass(length)
                continue
            if end and self._at >= end:
                return
            begin = max(0, first - self._at)
            stop = min(length, end - self._at) if end else length
            self._pass(stop)
            yield Pcm(block.samples[:, begin:stop], block.rate)

    def _next(self) -> Pcm | None:
        if self._block is None:
            self._block = next(self._blocks, None)
        return self._block

    def _pass(self, samples: int) -> None:
        block = self._block
        assert block is not None, "there is a block to take from"
        rest = block.samples[:, samples:]
        self._at += samples
        self._block = Pcm(rest, block.rate) if rest.shape[1] else None
