"""Tracker modules (MOD, XM, IT, S3M and their like): scores with samples, which are rendered to be indexed.

FFmpeg's libraries in PyAV cannot; the system's FFmpeg can when it was built with libopenmpt, as in Debian. It runs
as a program of its own with limited time and memory, and gets the file as its standard input.
"""

import asyncio
import os
import resource
import shutil
import tempfile
from contextlib import suppress
from io import BufferedReader
from typing import BinaryIO, Final, cast

MAX_SECONDS: Final = 1800
"""How much of a module is rendered."""

WALL_SECONDS: Final = 300.0
MAX_MODULE_BYTES: Final = 64 << 20

_MAX_SAID_BYTES: Final = 64 << 10
_HEAD_BYTES: Final = 1084
_MAGICS: Final = (
    (0, b"Extended Module: "),
    (0, b"IMPM"),
    (44, b"SCRM"),
    (0, b"MTM"),
    (0, b"OKTASONG"),
    (0, b"MAS_UTrack_V00"),
    (20, b"!Scream!"),
    (0, b"FAR\xfe"),
    (0, b"MMD"),
    (0, b"MO3"),
    (0, b"\xc1\x83\x2a\x9e"),
    (0, b"if\x00"),
    (0, b"AMF"),
)
_MOD_MARKS: Final = (b"M.K.", b"M!K!", b"M&K!", b"N.T.", b"FLT4", b"FLT8", b"OCTA", b"CD81")


class ModuleError(Exception):
    """A module was not rendered; the text is a sentence that says why.

    `by_choice`: nothing on this machine can render any.
    """

    def __init__(self, reason: str, *, by_choice: bool = False) -> None:
        super().__init__(reason)
        self.by_choice = by_choice


_NO_RENDERER: Final = (
    "it is a tracker module, which is only rendered where FFmpeg with libopenmpt is installed: Debian's package "
    "`ffmpeg` is"
)


def is_module(file: BufferedReader) -> bool:
    """Whether a file is a tracker module, by its content."""
    head = os.pread(file.fileno(), _HEAD_BYTES, 0)
    mark = head[1080:1084]
    if mark in _MOD_MARKS or (len(mark) == 4 and (mark[1:] == b"CHN" or mark[2:] in (b"CH", b"CN"))):
        return True
    return any(head.startswith(magic, at) for at, magic in _MAGICS)


async def render_module(file: BufferedReader, *, program: str = "ffmpeg") -> BufferedReader:
    """A module as a FLAC file that nothing else can open, with its title. Raises ModuleError and OSError."""
    found, sound = await asyncio.to_thread(_prepare, file, program)
    try:
        errors = await _run(found, file, sound)
        _check(errors, await asyncio.to_thread(sound.seek, 0, os.SEEK_END))
    except BaseException:
        sound.close()
        raise
    return sound


def _prepare(file: BufferedReader, program: str) -> tuple[str, BufferedReader]:
    """The path of FFmpeg, and a file for what it renders."""
    found = shutil.which(program)
    if found is None:
        raise ModuleError(_NO_RENDERER, by_choice=True)
    if os.fstat(file.fileno()).st_size > MAX_MODULE_BYTES:
        raise ModuleError(f"it is a tracker module of more than {MAX_MODULE_BYTES >> 20} MiB")
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return found, cast("BufferedReader", tempfile.TemporaryFile())  # the caller closes it


def _check(errors: bytes, rendered_bytes: int) -> None:
    """Raises ModuleError when nothing was rendered."""
    if not rendered_bytes:
        if b"Unknown input format" in errors:
            raise ModuleError(_NO_RENDERER, by_choice=True)
        raise ModuleError("it is a tracker module that FFmpeg cannot render")


async def _run(program: str, file: BinaryIO, sound: BinaryIO) -> bytes:
    """Run FFmpeg; returns what it said."""
    arguments = ("-nostdin", "-hide_banner", "-loglevel", "error", "-protocol_whitelist", "file,pipe")
    # As a path, since FFmpeg takes pipes for something without a length.
    source = ("-f", "libopenmpt", "-i", "/dev/stdin", "-t", str(MAX_SECONDS))
    result = ("-ac", "2", "-ar", "16000", "-c:a", "flac", "-f", "flac", "pipe:1")
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        *source,
        *result,
        stdin=file,
        stdout=sound,
        stderr=asyncio.subprocess.PIPE,
        env={},
        preexec_fn=_limit,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(WALL_SECONDS):
            assert process.stderr is not None, "it is a pipe"
            errors = await _beginning(process.stderr)
            await process.wait()
            return errors
    except TimeoutError as error:
        raise ModuleError("it is a tracker module, and rendering it takes too long") from error
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _beginning(said: asyncio.StreamReader) -> bytes:
    """The first bytes of what a program says, all of which is read so that it can go on."""
    kept = b""
    while piece := await said.read(_MAX_SAID_BYTES):
        kept = (kept + piece)[:_MAX_SAID_BYTES]
    return kept


def _limit() -> None:
    for what, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, 240),
        (resource.RLIMIT_FSIZE, 1 << 30),
        (resource.RLIMIT_AS, 4 << 30),
    ):
        resource.setrlimit(what, (value, value))
