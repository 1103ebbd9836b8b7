"""The format of decoding jobs and their answers, in the frames of `worker_process`. Standard library only.

A job's frame (integers big-endian):
    source u8           1: the next frame has the encoded bytes; 2: they are in the job's file; 3: they follow in
                        frames, as they come, the last of which is empty
    cpu seconds u16     the limit of CPU time
    max seconds f64, block seconds f64, mono beyond seconds f64
    size u64            of the job's file
    container           FFmpeg's name in ASCII; empty: detect it

Answers:
    MONO, STEREO        a block of sound: float32 samples in the machine's byte order, one channel after the other
    END                 of a job; the sound is complete
    NO_AUDIO            the reason in UTF-8; ends a job too
"""

import struct
from typing import Final, NamedTuple

JOB_HEAD: Final = struct.Struct("!BHdddQ")

FROM_BYTES: Final = 1
FROM_FILE: Final = 2
FROM_PIECES: Final = 3

MONO: Final = 17
STEREO: Final = 18
END: Final = 19
NO_AUDIO: Final = 20

MAX_REASON_BYTES: Final = 500


class JobHead(NamedTuple):
    """The start of a job's frame, in the order of `JOB_HEAD`. `mono_beyond_seconds`: infinite means never."""

    source: int
    cpu_seconds: int
    max_seconds: float
    block_seconds: float
    mono_beyond_seconds: float
    size: int
