"""The format of decoding jobs and their answers, in the frames of `worker_process`. Standard library only.

A job's frame (integers big-endian):
    source u8           1: the next frame has the encoded bytes; 2: they are in the job's file; 3: they follow in
                        frames, as they come, the last of which is empty
    cpu seconds u16     the limit of CPU time
    max seconds f64, block seconds f64, mono beyond seconds f64
    size u64            of the job's file
    container           FFmpeg's name in ASCII; empty: detect it

Answers:
    MARKED              where the media's clock puts a sample of the blocks that follow: a `Mark`
    MONO, STEREO        a block of sound: float32 samples in the machine's byte order, one channel after the other
    END                 of a job; the sound is complete
    NO_AUDIO            the reason in UTF-8; ends a job too

A job has at most MAX_MARKS marks; media whose clock jumps more often is placed by the playlist from there on.
"""

import struct
from typing import Final, NamedTuple

JOB_HEAD: Final = struct.Struct("!BHdddQ")
MARK_FRAME: Final = struct.Struct("!Qdqd")

FROM_BYTES: Final = 1
FROM_FILE: Final = 2
FROM_PIECES: Final = 3

MONO: Final = 17
STEREO: Final = 18
END: Final = 19
NO_AUDIO: Final = 20
MARKED: Final = 21

MAX_MARKS: Final = 500

MAX_REASON_BYTES: Final = 500


class JobHead(NamedTuple):
    """The start of a job's frame, in the order of `JOB_HEAD`. `mono_beyond_seconds`: infinite means never."""

    source: int
    cpu_seconds: int
    max_seconds: float
    block_seconds: float
    mono_beyond_seconds: float
    size: int


class Mark(NamedTuple):
    """Where the media's own clock puts a sample, at the start of the sound and wherever that clock jumps.

    `sample`: its number in the decoded sound. `seconds`: its timestamp; NaN when the media has none. `position`:
    where in the input its packet begins, in bytes; -1 when unknown. `begins`: the container's earliest timestamp,
    of sound or picture; NaN when unknown.
    """

    sample: int
    seconds: float
    position: int
    begins: float
