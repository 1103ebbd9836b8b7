"""Tells whether a file was changed or replaced since it was read."""

import os
import struct
from typing import Final

FileStamp = bytes
"""A file's size, the times of its content and its status in ns, and its inode; packed, as there are many."""

_STAMP: Final = struct.Struct("<qqqQ")
_INODES: Final = 1 << 64


def file_stamp(status: os.stat_result) -> FileStamp:
    """What tells whether a file was changed or replaced."""
    return packed_stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def packed_stamp(size: int, modified_ns: int, changed_ns: int, inode: int) -> FileStamp:
    """The same of its parts."""
    try:
        return _STAMP.pack(size, modified_ns, changed_ns, inode % _INODES)
    except struct.error:
        return b""  # a time beyond the years 1677 to 2262: then the file is looked at each time


def changed_seconds(stamp: FileStamp) -> float:
    """When the status of a file changed last, in seconds since 1970."""
    return _STAMP.unpack(stamp)[2] / 1e9 if stamp else 0.0
