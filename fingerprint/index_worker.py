"""The worker process that indexes music files: decodes one, fingerprints its sound and reads its tags.

See `catalog.file_reader` for its parent and `worker_process` for how they talk. It is sandboxed like the decoder:
the only file it can read is the one that the parent reads for it.
"""

import base64
import codecs
import hashlib
import json
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import PurePath
from typing import BinaryIO, Final

import msgspec
import numpy as np
from ftfy.chardata import CHARMAP_ENCODINGS
from numpy.random import default_rng

from fingerprint.catalog.ape_tag import read_ape_picture
from fingerprint.catalog.covers import MAX_EDGE
from fingerprint.catalog.cuts import cut_blocks
from fingerprint.catalog.fingerprint import fingerprint_track
from fingerprint.catalog.index_protocol import (
    DESCRIBED,
    EMBEDDED,
    MAX_REASON_BYTES,
    PICTURE,
    UNREADABLE,
    FileDescription,
    encode_fingerprint,
)
from fingerprint.catalog.mojibake import repaired
from fingerprint.catalog.picture_header import MAX_PICTURE_BYTES, UnusablePictureError, picture_header
from fingerprint.catalog.tag_reader import read_tags
from fingerprint.domain.audio import SAMPLE_RATE, Pcm
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.media.decode import decode_open_file
from fingerprint.media.decoder_worker import TOO_LARGE, warm_up_decoder
from fingerprint.media.planes import embedded_picture, read_encoded
from fingerprint.media.small_pictures import UndecodablePictureError, small_jpeg
from fingerprint.worker_process import (
    ParentPipe,
    limit_cpu,
    lock_in_sandbox,
    number_argument,
    open_parent_file,
    serve_jobs,
)

Decode = Callable[[BinaryIO], Iterable[Pcm]]
"""Decodes a file block by block; raises TwitchAudioError for one that it cannot read."""

_TAG_CODECS: Final = (
    "ascii",
    "latin-1",
    "utf-8",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "cp1251",
    "cp932",
    "cp1252",
    "koi8-r",
    "gbk",
    "big5",
    "euc_kr",
    "euc_jp",
    "utf-8-variants",
    *CHARMAP_ENCODINGS,
)
"""All that reading and repairing tags may need: codecs are loaded when they are first looked up."""

_PIXEL: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""A small picture, PNG."""

_MOJIBAKE: Final = ("Don\x92t", "Fran\xc3\xa7ois", "\xca\xe8\xed\xee")


Describe = Callable[[BinaryIO, PurePath], FileDescription]
"""A digest of a file's encoded sound, and its tags."""


def main() -> None:
    """Serve jobs until the parent ends. The argument is the limit of address space in bytes."""
    serve_indexing(decode_open_file, describe_file)


def serve_indexing(decode: Decode, describe: Describe) -> None:
    """Serve indexing jobs with the given decoder until the parent ends."""
    do = partial(_index_file, decode, describe)
    serve_jobs(do, warm_up=_warm_up, lock_in=lambda: lock_in_sandbox(number_argument()))


def describe_file(file: BinaryIO, name: PurePath) -> FileDescription:
    """What can be told of a file without decoding it."""
    encoded = read_encoded(file)
    picture = encoded.picture or read_ape_picture(file)
    return FileDescription(
        sound=encoded.digest,
        tags=read_tags(file, name, encoded.tags),
        picture=hashlib.sha256(picture).hexdigest() if picture else "",
    )


def read_cover(file: BinaryIO, *, embedded: bool) -> bytes:
    """A small JPEG of the picture that is embedded in a music file, or that a file is.

    Raises UnusablePictureError.
    """
    content = embedded_picture(file) or read_ape_picture(file) if embedded else file.read(MAX_PICTURE_BYTES + 1)
    header = picture_header(content)
    try:
        return small_jpeg(content, header.media_type, max_edge=MAX_EDGE)
    except UndecodablePictureError as error:
        raise UnusablePictureError("it is damaged, or in a form that cannot be decoded") from error


def _index_file(decode: Decode, describe: Describe, pipe: ParentPipe, content: bytearray) -> None:
    job = json.loads(content)
    limit_cpu(job["cpu_seconds"])
    file = open_parent_file(pipe, job["size"], job["start"])
    if job["picture"]:
        pipe.send(*_picture(file, embedded=job["picture"] == EMBEDDED))
    elif job["cuts"]:
        for song in cut_blocks(decode(file), [(start, end) for start, end in job["cuts"]]):
            for kind, part in _answer(song):
                pipe.send(kind, part)
    elif job["decode"]:
        for kind, part in _answer(decode(file)):
            pipe.send(kind, part)
    else:
        pipe.send(DESCRIBED, msgspec.json.encode(describe(file, PurePath(job["name"]))))


def _picture(file: BinaryIO, *, embedded: bool) -> tuple[int, bytes]:
    """The answer's frame with a picture."""
    try:
        return PICTURE, read_cover(file, embedded=embedded)
    except UnusablePictureError as error:
        reason = str(error)
    except (MemoryError, OSError):
        reason = "it is damaged"
    return UNREADABLE, reason.encode()


def _answer(blocks: Iterable[Pcm]) -> Iterable[tuple[int, bytes]]:
    """The answer's frames with the landmarks of a sound."""
    try:
        return list(encode_fingerprint(fingerprint_track(blocks)))
    except TwitchAudioError as error:
        reason = error.detail
    except MemoryError:
        reason = f"it cannot be fingerprinted: {TOO_LARGE}"
    except (ValueError, ArithmeticError) as error:
        reason = f"it cannot be fingerprinted: {error}"
    return [(UNREADABLE, reason.encode("utf-8", "replace")[:MAX_REASON_BYTES])]


def _warm_up() -> None:
    """Load every lazily loaded module while files may still be opened."""
    warm_up_decoder()
    for name in _TAG_CODECS:
        codecs.lookup(name)
    repaired(_MOJIBAKE)
    small_jpeg(small_jpeg(_PIXEL, "image/png", max_edge=MAX_EDGE), "image/jpeg", max_edge=MAX_EDGE)
    noise = default_rng(0).normal(0, 0.1, (2, 2 * SAMPLE_RATE)).astype(np.float32)
    fingerprint_track([Pcm(noise)])
