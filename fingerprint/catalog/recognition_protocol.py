"""The format of recognition jobs and their answers, in the frames of `worker_process`.

A job's frame is the number of channels and that of the take, u8 each; the next one has the channels' float32
samples, one channel after the other. With 0 channels, it has a fingerprint, see `query_print`.

With a third byte, AHEAD, the sound is still being decoded: frames with the samples of its pieces follow, the last
of which is empty. ABANDONED in place of any of them ends the job without a search.

Answers:
    PREPARED    the recording is fingerprinted, and the search begins
    FOUND       JSON: the findings, surest first; ends the job
    FAILED      JSON: a problem's code and detail; ends the job
"""

from typing import Final

import msgspec

from fingerprint.catalog.examination import Finding

PREPARED: Final = 17
FOUND: Final = 18
FAILED: Final = 19
ABANDONED: Final = 20

AHEAD: Final = 1

findings_decoder: Final = msgspec.json.Decoder(list[Finding])
failure_decoder: Final = msgspec.json.Decoder(tuple[str, str])
