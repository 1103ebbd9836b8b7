"""Uploaded recordings: read from a form into a file without a name, their size checked and their hash taken."""

import asyncio
import contextlib
import hashlib
import os
import tempfile
import weakref
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aiohttp import BodyPartReader, web

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import UploadTarget
from server.middleware.forms import UNREADABLE, bound_form
from server.middleware.problems import RefusedMediaTypeError, TooLargeError

MAX_UPLOAD_BYTES: Final = 25 << 20
UPLOAD_SECONDS: Final = 60.0
"""How long an upload may take to arrive."""

_FORM_BYTES: Final = 64 << 10
"""How much larger than its file a form may be."""

_MAX_LINES: Final = 100
"""How many lines a form may have besides its file: boundaries, headers, and what is before and after them."""

_PIECE_BYTES: Final = 1 << 20
"""What is kept in memory before it is written."""

_MEDIA: Final = ("audio/", "video/")
_OTHER_MEDIA: Final = frozenset({"", "application/octet-stream", "application/ogg", "application/mp4"})
_TAKES: Final = 'Send multipart/form-data with one part named "file": a recording in any usual format.'


class UploadRoom:
    """Bounds the uploads that arrive at once, in all and from one caller.

    A caller gets at most a quarter of the room that is left, and one place as long as there is any: it takes many
    callers to leave none.
    """

    MAX: Final = 16
    SHARE: Final = 4

    def __init__(self) -> None:
        self._arriving_from: Counter[str] = Counter()

    @contextmanager
    def place(self, caller: str) -> Generator[None]:
        """Room for one upload of a caller during the block. Raises TwitchAudioError `busy`, `rate-limited`.

        `caller`: see `fair_share_key`; who has a key or an account is not kept waiting by others at their address.
        """
        own = self._arriving_from[caller]
        left = self.MAX - self._arriving_from.total()
        if own and own >= (left + own) // self.SHARE:
            detail = "Other files of yours, or from your address, are being uploaded. Wait for one to arrive."
            raise TwitchAudioError(ProblemCode.RATE_LIMITED, detail, retry_after_seconds=5.0)
        if not left:
            detail = "Too many files are being uploaded. Try again in a moment."
            raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=5.0)
        self._arriving_from[caller] += 1
        try:
            yield
        finally:
            self._arriving_from[caller] -= 1
            if not self._arriving_from[caller]:
                del self._arriving_from[caller]


class _UnnamedFile:
    """A file that has no name, and so is gone with its last reference, also when the server is killed."""

    def __init__(self) -> None:
        with tempfile.TemporaryFile(buffering=0) as made:
            self.descriptor: Final = os.dup(made.fileno())
        self.hash: Final = hashlib.sha256()
        self.size = 0
        weakref.finalize(self, os.close, self.descriptor)

    @property
    def path(self) -> Path:
        return Path(f"/dev/fd/{self.descriptor}")

    def write(self, piece: bytes) -> None:
        self.hash.update(piece)
        self.size += len(piece)
        left = memoryview(piece)
        while left:
            left = left[os.write(self.descriptor, left) :]


async def read_upload(request: web.Request) -> UploadTarget:
    """The recording in the request's form. Nothing but a piece of it is ever in memory.

    Raises TwitchAudioError `invalid-input`, `busy`; 413, 415 and 408 of HTTP.
    """
    size = request.content_length
    if size is not None and size > MAX_UPLOAD_BYTES + _FORM_BYTES:
        raise _too_large()
    bound_form(request, max_lines=_MAX_LINES, max_bytes=MAX_UPLOAD_BYTES + _FORM_BYTES)
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            return await _read_form(request)
    except TimeoutError as error:
        raise web.HTTPRequestTimeout from error
    except OSError as error:
        if isinstance(error, ConnectionError):
            raise
        detail = "There is no room for this file at the moment. Try again later."
        raise TwitchAudioError(ProblemCode.BUSY, detail, retry_after_seconds=30.0) from error
    except UNREADABLE as error:
        raise invalid_input(f"The form cannot be read. {_TAKES}") from error


async def _read_form(request: web.Request) -> UploadTarget:
    found: UploadTarget | None = None
    async for part in await request.multipart():
        if not isinstance(part, BodyPartReader) or part.name != "file":
            raise invalid_input(f"The form has something else than a file. {_TAKES}")
        if found is not None:
            raise invalid_input(f"The form has more than one file. {_TAKES}")
        media_type = part.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not media_type.startswith(_MEDIA) and media_type not in _OTHER_MEDIA:
            raise RefusedMediaTypeError(
                "The file has to be a recording: audio/..., video/... or application/octet-stream."
            )
        found = await _read_file(part)
    if found is None:
        raise invalid_input(f"The form has no file. {_TAKES}")
    return found


async def _read_file(part: BodyPartReader) -> UploadTarget:
    file = await asyncio.to_thread(_UnnamedFile)
    held = bytearray()
    size = 0
    while piece := await part.read_chunk(64 << 10):
        size += len(piece)
        if size > MAX_UPLOAD_BYTES:
            raise _too_large()
        held += piece
        if len(held) >= _PIECE_BYTES:
            await asyncio.to_thread(file.write, bytes(held))
            held.clear()
    if not size:
        raise invalid_input("The file is empty.")
    await asyncio.to_thread(file.write, bytes(held))
    with contextlib.suppress(OSError):
        # Where a path below /dev/fd is the same open file, it is read from where this one stands.
        os.lseek(file.descriptor, 0, os.SEEK_SET)
    return UploadTarget(file.hash.hexdigest(), path=file.path, kept_by=file)


def _too_large() -> TooLargeError:
    return TooLargeError(f"The file is too large: at most {MAX_UPLOAD_BYTES >> 20} MB are taken.")
