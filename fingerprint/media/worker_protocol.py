"""The bytes between a decoder pool and its workers. Standard library only: a worker imports it.

A job, on the worker's standard input (integers big-endian):
    kind u8             1: the encoded bytes follow; 2: they are in an inherited file descriptor; 3: they follow
                        in pieces, as they come
    container length u8
    cpu seconds u16     what the job may use
    max seconds f64, block seconds f64, mono beyond seconds f64
    length u64          of the encoded bytes; or the file descriptor
    container           FFmpeg's name in ASCII; empty: recognize it
    the encoded bytes   for kind 1; for kind 3 pieces of length u32 and as many bytes, the last of length 0

Replies, on its standard output, each with a head of kind u8, channels u8, length u32:
    1 ready             once, before the first job
    2 planes            then for each channel `length` bytes of float32 samples in the machine's byte order
    3 end               of a job; the sound is complete
    4 no audio          then `length` bytes of UTF-8 that say why; ends a job too
The last reply to a job comes after all of its input was read.
"""

import struct
from typing import Final, NamedTuple

JOB: Final = struct.Struct("!BBHdddQ")
PIECE: Final = struct.Struct("!I")
REPLY: Final = struct.Struct("!BBI")

FROM_BYTES: Final = 1
FROM_DESCRIPTOR: Final = 2
FROM_PIECES: Final = 3

READY: Final = 1
PLANES: Final = 2
END: Final = 3
NO_AUDIO: Final = 4

MAX_REASON_BYTES: Final = 500


class JobHead(NamedTuple):
    """The head of a job, in the order of `JOB`. `mono_beyond_seconds` may be infinite: never."""

    kind: int
    container_length: int
    cpu_seconds: int
    max_seconds: float
    block_seconds: float
    mono_beyond_seconds: float
    length: int
