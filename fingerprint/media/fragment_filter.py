"""Keeps the sound of fragmented MP4 while it arrives and drops the picture, so that memory does not grow with it.

Each `moof` is written again without the picture's tracks, and so are the init section and the `mdat` (ISO/IEC
14496-12, 8.8; RFC 8216, 3.3: positions count from the `moof`).
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from fingerprint.media.containers import (
    TEXT_BYTES,
    first_timestamp,
    inner_boxes,
    is_text,
    iter_boxes,
    number_at,
)

_MAX_MOOF_BYTES: Final = 4 << 20
_MAX_OTHER_BYTES: Final = 1 << 20
"""The longest box besides `moof` and `mdat` that is kept."""

_MAX_SOUND_BYTES: Final = 1 << 30
"""More than any fragment has; its places must fit into 32 bits."""

_LARGE_HEADER_BYTES: Final = 16

# Flags of `tfhd` and `trun`: ISO/IEC 14496-12, 8.8.7 and 8.8.8.
_BASE_OFFSET: Final = 0x1
_DESCRIPTION: Final = 0x2
_DEFAULT_DURATION: Final = 0x8
_DEFAULT_SIZE: Final = 0x10
_BASE_IS_MOOF: Final = 0x20000
_DATA_OFFSET: Final = 0x1
_FIRST_FLAGS: Final = 0x4
_SAMPLE_SIZE: Final = 0x200
_SAMPLE_FIELDS: Final = (0x100, _SAMPLE_SIZE, 0x400, 0x800)

Range = tuple[int, int]
"""A part of a segment, from a first byte to the one behind its last."""


class FragmentError(Exception):
    """A fragment whose sound cannot be told from its picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundTracks:
    """The sound tracks of an init section that has a picture, too.

    `sound_head` is the init section without the picture's tracks. `sample_bytes`: the default size of a sample, by
    the number of each track that is kept.
    """

    head: bytes = field(repr=False)
    sound_head: bytes = field(repr=False)
    sample_bytes: Mapping[int, int]


def sound_tracks(head: bytes) -> SoundTracks | None:
    """The sound tracks of an init section; None when it has no picture to leave out, or no sound."""
    kept: list[bytes] = []
    sample_bytes: dict[int, int] = {}
    kinds: list[bytes] = []
    for kind, start, end in iter_boxes(head, 0, len(head)):
        if kind != b"moov":
            kept.append(_box(kind, head[start:end]))
            continue
        tracks: list[bytes] = []
        for inner, at, until in iter_boxes(head, start, end):
            if inner == b"trak":
                handler = next(inner_boxes(head, at, until, b"mdia", b"hdlr"), (until, until))[0]
                kinds.append(head[handler + 8 : handler + 12])
                if kinds[-1] == b"vide":
                    continue
                header = next(inner_boxes(head, at, until, b"tkhd"), (until, until))[0]
                number = number_at(head, header + (20 if number_at(head, header, 1) == 1 else 12), 4)
                sample_bytes.setdefault(number, 0)
            tracks.append(_box(inner, head[at:until]))
        kept.append(_box(b"moov", b"".join(_without_defaults(tracks, sample_bytes))))
    if b"vide" not in kinds or b"soun" not in kinds:
        return None
    return SoundTracks(head=head, sound_head=b"".join(kept), sample_bytes=sample_bytes)


def _without_defaults(boxes: Sequence[bytes], sample_bytes: dict[int, int]) -> Iterator[bytes]:
    """The boxes of a `moov`, with `trex` for those tracks only that are kept, whose sizes are noted."""
    for box in boxes:
        if box[4:8] != b"mvex":
            yield box
            continue
        inner: list[bytes] = []
        for kind, start, end in iter_boxes(box, 8, len(box)):
            number = number_at(box, start + 4, 4)
            if kind == b"trex" and number in sample_bytes:
                sample_bytes[number] = number_at(box, start + 16, 4)
            elif kind == b"trex":
                continue
            inner.append(_box(kind, box[start:end]))
        yield _box(b"mvex", b"".join(inner))


class FragmentFilter:
    """Takes the pieces of a segment in order and gives those bytes of them that are kept; see `BodyFilter`.

    `tracks` is awaited with the first piece. Where it gives None, and for what is no MP4, everything passes.
    `feed` raises FragmentError, and what `tracks` raises.
    """

    def __init__(self, tracks: Callable[[], Awaitable[SoundTracks | None]]) -> None:
        self._find_tracks = tracks
        self._tracks: SoundTracks | None = None
        self._decided = False
        self._waiting = bytearray()
        self._at = 0
        """Where in the segment the waiting bytes begin."""
        self._end: float = 0
        """Where the box ends whose content is being received."""
        self._kept: list[Range] = []
        """Which parts of that box are kept, in order."""
        self._fragment: _Fragment | None = None
        self.first_timestamp: float | None = None
        """The earliest first timestamp of all tracks, in seconds; None when the picture was not dropped."""

    async def feed(self, piece: bytes) -> bytes:
        self._waiting += piece
        if not self._decided:
            if len(self._waiting) < TEXT_BYTES:
                return b""
            await self._decide()
        return self._filtered()

    def finish(self) -> bytes:
        if self._decided and self._tracks is not None:
            return b""
        rest = bytes(self._waiting)
        self._waiting.clear()
        return rest

    async def _decide(self) -> None:
        start = bytes(self._waiting[:TEXT_BYTES])
        if start[4:8].isalnum() and not is_text(start):
            self._tracks = await self._find_tracks()
        self._decided = True

    def _filtered(self) -> bytes:
        if self._tracks is None:
            return self.finish()
        found = bytearray()
        while self._waiting:
            if self._at < self._end:
                self._pass_on(found)
            elif not self._begin_box(self._tracks, found):
                break
        return bytes(found)

    def _pass_on(self, found: bytearray) -> None:
        """Receive what has come of the content of a box."""
        count = int(min(len(self._waiting), self._end - self._at))
        while self._kept and self._kept[0][0] < self._at + count:
            start, end = self._kept[0]
            found += self._waiting[max(0, start - self._at) : min(count, end - self._at)]
            if end > self._at + count:
                break
            del self._kept[0]
        del self._waiting[:count]
        self._at += count

    def _begin_box(self, tracks: SoundTracks, found: bytearray) -> bool:
        """Read the beginning of the next box, or all of a `moof`. Returns whether enough of it has come."""
        start = bytes(self._waiting[:_LARGE_HEADER_BYTES])
        size, kind, header = number_at(start, 0, 4), start[4:8], 8
        if size == 1:
            size, header = number_at(start, 8, 8), _LARGE_HEADER_BYTES
        if len(self._waiting) < header:
            return False
        end = float("inf") if size == 0 else self._at + size
        if end < self._at + header:
            raise FragmentError("a box of it is smaller than its own beginning")
        self._kept = []
        if kind == b"moof":
            if not size or size > _MAX_MOOF_BYTES:
                raise FragmentError("the description of a fragment is absurdly long")
            if len(self._waiting) < size:
                return False
            moof = bytes(self._waiting[:size])
            if self.first_timestamp is None:
                self.first_timestamp = first_timestamp(moof, "mp4", head=tracks.head)
            self._fragment = _fragment_of(moof, header, self._at, tracks)
        elif kind == b"mdat":
            fragment, self._fragment = self._fragment, None
            if fragment is not None:
                self._kept = fragment.ranges(self._at + header, end)
                found += fragment.described()
        elif kind != b"sidx" and size and size <= _MAX_OTHER_BYTES:
            self._kept = [(self._at, self._at + size)]
        self._end = end
        return True


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive samples: their `trun` before and behind its data offset, and where they are in the segment."""

    before: bytes
    behind: bytes
    place: Range


@dataclass(frozen=True, slots=True)
class _Fragment:
    """What a `moof` says of sound: its boxes for each track, other than `trun`, and its samples."""

    first: bytes
    tracks: Sequence[tuple[bytes, Sequence[_Run]]]

    def ranges(self, start: int, end: float) -> list[Range]:
        """Where the samples are, in order. Raises FragmentError when that is not inside of `start` to `end`."""
        found = sorted(run.place for _, runs in self.tracks for run in runs if run.place[0] < run.place[1])
        for (first, last), before in zip(found, [start, *(last for _, last in found)], strict=False):
            if first < before or last > end:
                raise FragmentError("the places of its samples are impossible")
        if sum(last - first for first, last in found) > _MAX_SOUND_BYTES:
            raise FragmentError("its sound is absurdly long")
        return found

    def described(self) -> bytes:
        """The `moof` without the picture, and the beginning of its `mdat`, which has the samples end to end."""
        places = sorted(run.place for _, runs in self.tracks for run in runs)
        starts: dict[Range, int] = {}
        total = 0
        for place in places:
            starts[place] = total
            total += place[1] - place[0]
        shift = 8 + len(self._moof(starts, 0))
        return self._moof(starts, shift) + (8 + total).to_bytes(4, "big") + b"mdat"

    def _moof(self, starts: Mapping[Range, int], shift: int) -> bytes:
        content = self.first
        for boxes, runs in self.tracks:
            truns = (
                _box(b"trun", run.before + (shift + starts[run.place]).to_bytes(4, "big") + run.behind)
                for run in runs
            )
            content += _box(b"traf", boxes + b"".join(truns))
        return _box(b"moof", content)


def _fragment_of(moof: bytes, header: int, at: int, tracks: SoundTracks) -> _Fragment | None:
    """The sound of a `moof` that begins at `at`; None when it has none. Raises FragmentError."""
    first = b"".join(
        _box(kind, moof[start:end]) for kind, start, end in iter_boxes(moof, header, len(moof)) if kind == b"mfhd"
    )
    found: list[tuple[bytes, Sequence[_Run]]] = []
    implicit = at
    for start, end in inner_boxes(moof, header, len(moof), b"traf"):
        track = next(inner_boxes(moof, start, end, b"tfhd"), None)
        if track is None:
            continue
        flags, number = number_at(moof, track[0] + 1, 3), number_at(moof, track[0] + 4, 4)
        if flags & _BASE_OFFSET:
            raise FragmentError("its samples are placed from the start of another file")
        size = tracks.sample_bytes.get(number, 0)
        if flags & _DEFAULT_SIZE:
            skipped = 4 * sum(bool(flags & each) for each in (_DESCRIPTION, _DEFAULT_DURATION))
            size = number_at(moof, track[0] + 8 + skipped, 4)
        place = at if flags & _BASE_IS_MOOF else implicit
        base = place
        runs: list[_Run] = []
        for run in inner_boxes(moof, start, end, b"trun"):
            described = _run_of(moof, run, base, place, size)
            runs.append(described)
            place = implicit = described.place[1]
        if number in tracks.sample_bytes and runs:
            time = (_box(b"tfdt", moof[begin:until]) for begin, until in inner_boxes(moof, start, end, b"tfdt"))
            version = moof[track[0] : track[0] + 1]
            new_header = version + (flags | _BASE_IS_MOOF).to_bytes(3, "big") + moof[track[0] + 4 : track[1]]
            found.append((_box(b"tfhd", new_header) + b"".join(time), runs))
    return _Fragment(first, found) if found else None


def _run_of(moof: bytes, run: Range, base: int, follows: int, default_bytes: int) -> _Run:
    """A `trun`, whose samples begin at its data offset from `base`, or else at `follows`."""
    start, end = run
    flags, count, at = number_at(moof, start + 1, 3), number_at(moof, start + 4, 4), start + 8
    place = follows
    if flags & _DATA_OFFSET:
        place = base + int.from_bytes(moof[at : at + 4], "big", signed=True)
        at += 4
    sizes_at = at + (4 if flags & _FIRST_FLAGS else 0)
    fields = [each for each in _SAMPLE_FIELDS if flags & each]
    if sizes_at + 4 * len(fields) * count > end or count > _MAX_MOOF_BYTES:
        raise FragmentError("it lists more samples than it describes")
    total = count * default_bytes
    if flags & _SAMPLE_SIZE:
        table = np.frombuffer(moof, ">u4", count * len(fields), sizes_at).reshape(count, len(fields))
        total = int(table[:, fields.index(_SAMPLE_SIZE)].sum(dtype=np.int64))
    before = moof[start : start + 1] + (flags | _DATA_OFFSET).to_bytes(3, "big") + moof[start + 4 : start + 8]
    return _Run(before, moof[at:end], (place, place + total))


def _box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content
