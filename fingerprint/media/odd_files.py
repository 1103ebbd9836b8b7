"""What FFmpeg stumbles over in files: copy protection, and ID3 tags that say they are larger than their file."""

import io
import os
from typing import Any, Final, Protocol

from av.container import InputContainer


class SeekableFile(Protocol):
    """A seekable input, as `planes.Readable`."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes; empty at the end."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position, as `io.IOBase.seek` does."""
        ...

    def tell(self) -> int:
        """The position in bytes from the start."""
        ...


# --- Copy protection ----------------------------------------------------------------------------------

_HEAD_BYTES: Final = 64 << 10
_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_PROTECTIONS: Final = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),  # Content Encryption Object
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),  # Extended Content Encryption Object
    bytes.fromhex("338505438169e6499b74ad12cb86d58c"),  # Advanced Content Encryption Object
)
_MAGICS: Final = (
    (4, b"\x57\x90\x75\x36", "Audible"),
    (0, b"CTENFDAM", "NetEase"),
    (0, b"\x7c\xd5\x32\xeb\x86\x02\x7f\x4b\xa8\xaf\xa6\x8e\x0f\xff\x99\x14", "KuGou"),
    (0, b"yeelion-kuwo", "Kuwo"),
)
_SAMPLE_ENTRIES: Final = {"drms": "iTunes", "enca": "common encryption", "aavd": "Audible", "drmi": "iTunes"}


def protection_by_bytes(file: SeekableFile) -> str | None:
    """The scheme that protects a file against copying, told by its first bytes; None for a free one."""
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(_ASF) and any(protection in head for protection in _ASF_PROTECTIONS):
        return "Windows Media"
    return next((scheme for at, magic, scheme in _MAGICS if head.startswith(magic, at)), None)


def protection_by_streams(media: InputContainer) -> str | None:
    """The scheme that protects an MP4 file, told by its audio tracks."""
    for stream in media.streams.audio:
        context: Any = stream.codec_context
        try:
            scheme = None if context is None else _SAMPLE_ENTRIES.get(context.codec_tag)
        except ValueError:  # a tag of other bytes than letters
            continue
        if scheme is not None:
            return scheme
    return None


# --- ID3 tags ------------------------------------------------------------------------------------------

_ID3_HEAD_BYTES: Final = 10
_SEARCHED_BYTES: Final = 4 << 20
_MAGIC_BEHIND_TAG: Final = (b"fLaC\0\0\0\x22", b"OggS\0\x02", b"TTA1", b"MPCK")
_BITRATES: Final = {
    # (version 1, layer): kbit/s by index; without the first, which is free, and the last, which is forbidden
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES: Final = (44_100, 48_000, 32_000)
_FRAMES_IN_ROW: Final = 5


def past_broken_id3(file: SeekableFile) -> SeekableFile:
    """The file without an ID3v2 tag that claims to be larger than the file; else the file itself."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_ID3_HEAD_BYTES)
    file.seek(0)
    if len(head) < _ID3_HEAD_BYTES or not head.startswith(b"ID3"):
        return file
    claimed = 0
    for byte in head[6:]:
        claimed = claimed << 7 | byte & 0x7F
    return file if _ID3_HEAD_BYTES + claimed < size else past_junk(file) or file


def past_junk(file: SeekableFile) -> SeekableFile | None:
    """The file from where sound begins, for one that begins with something else; None without such a place."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = _sound_start(file.read(_SEARCHED_BYTES))
    file.seek(0)
    return None if start is None else _From(file, start, size)


def _sound_start(content: bytes) -> int | None:
    """Where the first MPEG frames in a row begin, or another format."""
    known = [at for magic in _MAGIC_BEHIND_TAG if (at := content.find(magic, 1)) > 0]
    at = content.find(b"\xff", 1)
    while at >= 0:
        position, frames = at, 0
        while frames < _FRAMES_IN_ROW and (length := _frame_bytes(content, position)):
            position, frames = position + length, frames + 1
        if frames == _FRAMES_IN_ROW:
            known.append(at)
            break
        at = content.find(b"\xff", at + 1)
    return min(known, default=None)


def _frame_bytes(content: bytes, at: int) -> int:
    """The length of the MPEG audio frame at a position; 0 when there is none."""
    if at + 4 > len(content) or content[at] != 0xFF or content[at + 1] & 0xE0 != 0xE0:
        return 0
    version, layer = content[at + 1] >> 3 & 3, 4 - (content[at + 1] >> 1 & 3)
    bitrate, rate, padding = content[at + 2] >> 4, content[at + 2] >> 2 & 3, content[at + 2] >> 1 & 1
    if version == 1 or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0
    bits = _BITRATES[version == 3, layer][bitrate - 1] * 1000
    hertz = _RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]  # MPEG 1, 2 and 2.5
    if layer == 1:
        return (12 * bits // hertz + padding) * 4
    samples = 72 if layer == 3 and version != 3 else 144
    return samples * bits // hertz + padding


class _From(io.RawIOBase):
    """A file from a position on."""

    def __init__(self, file: SeekableFile, start: int, size: int) -> None:
        self._file = file
        self._start = start
        self._size = size - start
        file.seek(start)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        base = {io.SEEK_CUR: self.tell(), io.SEEK_END: self._size}.get(whence, 0)
        return self._file.seek(self._start + max(0, base + offset)) - self._start

    def tell(self) -> int:
        return self._file.tell() - self._start
