"""Adds a folder of music to a catalog for an operator: `twitchaudio catalog add`, in a process of its own.

Only one runs at a time on a machine. A file in the data folder says how far it is, so that every server process
can show it, and a job that was cut short is seen as such. The server that runs it ends it when it stops: what was
decoded by then is kept, and adding the folder again goes on from there.
"""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

from fingerprint.catalog.problems import CatalogBusyError, CatalogError
from fingerprint.catalog.write_lock import WriteLock
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.text import printable
from fingerprint.tasks import cancel_and_wait
from server.music_folders import MAX_REPORT_BYTES, catalog_command, end_command, read_bounded

STATE_FILE: Final = "catalog-job.json"
CANCEL_FILE: Final = "catalog-job.cancel"
LOCK_FILE: Final = "catalog-job.lock"
LOOK_SECONDS: Final = 0.25
"""How often it is looked whether the job is to be cancelled."""

BEAT_SECONDS: Final = 2.0
"""How often the file is written when nothing happens."""

LOST_SECONDS: Final = 30.0
"""A job whose file is older than this has ended without saying so."""

STOP_SECONDS: Final = 15.0
MAX_PATH: Final = 4_096
MAX_FAILURES: Final = 200
MAX_LINE: Final = 4_096

Outcome = Literal["running", "done", "failed", "cancelled", "interrupted"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogJobState:
    """How far the newest job is. `done` of `total` files; times in seconds since 1970.

    `failures`: what could not be read and why, at most MAX_FAILURES of `failed`. `message`: the last words of a
    command that failed.
    """

    path: str
    catalog: str
    by: str
    outcome: Outcome
    started: float
    seen: float
    done: int = 0
    total: int = 0
    added: int = 0
    already: int = 0
    failed: int = 0
    failures: Sequence[tuple[str, str]] = ()
    message: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.outcome == "running"

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return 0 if not self.total else min(100, 100 * self.done // self.total)


class CatalogJob:
    """Starts, shows and cancels the job. `close` it when the server stops.

    `command`: what adds a path to a catalog with some worker processes.
    """

    def __init__(self, data_dir: Path, command: Callable[[str, str, int], Sequence[str]] | None = None) -> None:
        self._data_dir = data_dir
        self._command = command or add_command
        self._writing = threading.Lock()
        self._has_ended = False
        self._task: asyncio.Task[None] | None = None

    async def state(self) -> CatalogJobState | None:
        """The newest job, of whichever server of this machine; None when there was none."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> CatalogJobState | None:
        try:
            values = cast("dict[str, Any]", json.loads((self._data_dir / STATE_FILE).read_bytes()))
            failures = [(str(path), str(reason)) for path, reason in values.pop("failures")]
            state = CatalogJobState(**values, failures=failures)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        lost = state.is_running and abs(time.time() - state.seen) > LOST_SECONDS
        return replace(state, outcome="interrupted") if lost else state

    def _write(self, state: CatalogJobState) -> None:
        part = self._data_dir / f".{STATE_FILE}.{os.getpid()}.part"
        part.write_text(json.dumps(asdict(state)), encoding="utf-8")
        part.replace(self._data_dir / STATE_FILE)

    async def start(self, text: str, *, catalog: str, by: str, workers: int) -> str:
        """Begin to add a folder or a file; returns its path.

        Raises TwitchAudioError `invalid-input` for a path that cannot be read, `job-in-progress` while another job
        runs, `busy` when the data folder cannot be written.
        """
        path = await asyncio.to_thread(readable_path, text)
        lock = WriteLock(self._data_dir / LOCK_FILE)
        try:
            await asyncio.to_thread(lock.take)
        except CatalogBusyError as error:
            detail = "Music is being added already. Wait until that is done, or cancel it."
            raise TwitchAudioError(ProblemCode.JOB_IN_PROGRESS, detail) from error
        except (CatalogError, OSError) as error:
            raise TwitchAudioError(ProblemCode.BUSY, f"The data folder cannot be written: {error}.") from error
        now = time.time()
        state = CatalogJobState(path=path, catalog=catalog, by=by, outcome="running", started=now, seen=now)
        self._has_ended = False
        try:
            await asyncio.to_thread(self._write, state)
            await asyncio.to_thread((self._data_dir / CANCEL_FILE).unlink, missing_ok=True)
        except OSError as error:
            lock.release()
            raise TwitchAudioError(ProblemCode.BUSY, f"The data folder cannot be written: {error}.") from error
        run = self._run(self._command(path, catalog, workers), state, lock)
        self._task = asyncio.create_task(run, name="catalog job")
        return path

    async def cancel(self) -> None:
        """Have the job that runs end; what it has added stays. Raises TwitchAudioError `not-found`, `busy`."""
        state = await self.state()
        if state is None or not state.is_running:
            raise TwitchAudioError(ProblemCode.NOT_FOUND, "No music is being added.")
        try:
            await asyncio.to_thread((self._data_dir / CANCEL_FILE).touch)
        except OSError as error:
            raise TwitchAudioError(ProblemCode.BUSY, f"The data folder cannot be written: {error}.") from error

    async def close(self) -> None:
        """End the job of this server."""
        await cancel_and_wait(self._task)

    async def _run(self, command: Sequence[str], state: CatalogJobState, lock: WriteLock) -> None:
        running = _Running(state)
        try:
            ended = await self._run_command(command, running)
        except asyncio.CancelledError:
            await asyncio.to_thread(self._say, replace(running.state, outcome="interrupted", seen=time.time()))
            raise
        except OSError as error:
            ended = replace(running.state, outcome="failed", message=str(error)[:300])
        except Exception:  # noqa: BLE001 - whatever it was, the page says that it is over
            _log.exception("catalog_job_crashed")
            ended = replace(running.state, outcome="failed", message="It failed; the server's log says why.")
        finally:
            lock.release()
        await asyncio.to_thread(self._say, replace(ended, seen=time.time()))

    def _say(self, state: CatalogJobState) -> None:
        with self._writing:
            if self._has_ended and state.is_running:
                return  # a thread that was late
            self._has_ended = not state.is_running
            try:
                self._write(state)
            except OSError as error:
                _log.warning("catalog_job_not_written", extra={"error": type(error).__name__})

    async def _run_command(self, command: Sequence[str], running: "_Running") -> CatalogJobState:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None, "it is a pipe"
        assert process.stderr is not None, "likewise"
        cancelled = False
        try:
            async with asyncio.TaskGroup() as group:
                report = group.create_task(read_bounded(process.stdout, MAX_REPORT_BYTES, keep_end=False))
                said = group.create_task(running.follow(process.stderr))
                looking = group.create_task(self._look(running))
                ending = group.create_task(process.wait())
                await asyncio.wait({looking, ending}, return_when=asyncio.FIRST_COMPLETED)
                if not ending.done():
                    cancelled = True
                    await end_command(process, seconds=STOP_SECONDS)
                looking.cancel()
        finally:
            await end_command(process, seconds=STOP_SECONDS)
        if cancelled:
            return replace(running.state, outcome="cancelled")
        return _ended(running.state, report.result(), said.result())

    async def _look(self, running: "_Running") -> None:
        """Write how far the job is, until it is to be cancelled."""
        written: CatalogJobState | None = None
        while not await asyncio.to_thread((self._data_dir / CANCEL_FILE).exists):
            now = time.time()
            if written is None or running.state != written or abs(now - running.state.seen) >= BEAT_SECONDS:
                running.state = written = replace(running.state, seen=now)
                await asyncio.to_thread(self._say, written)
            await asyncio.sleep(LOOK_SECONDS)


def add_command(path: str, catalog: str, workers: int) -> Sequence[str]:
    """The command that adds a path to a catalog."""
    options = ("--json", "--progress", "json", "--workers", str(workers))
    return catalog_command("add", path, "--catalog", catalog, *options)


class _Running:
    """The state of a job while its command runs."""

    def __init__(self, state: CatalogJobState) -> None:
        self.state = state

    async def follow(self, stream: asyncio.StreamReader) -> str:
        """Read the command's progress; returns the last line that is none."""
        last = ""
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # longer than the reader takes
            if not line:
                return last
            text = line[:MAX_LINE].decode("utf-8", "replace").strip()
            try:
                counts = cast("dict[str, int]", json.loads(text))
                known = {name: int(counts[name]) for name in ("done", "total", "added", "failed")}
            except (ValueError, TypeError, KeyError):
                last = text or last
            else:
                self.state = replace(self.state, **known)


def _ended(state: CatalogJobState, report: bytes, said: str) -> CatalogJobState:
    """The state after a command that ended by itself, by its report or its last words."""
    try:
        values = cast("dict[str, Any]", json.loads(report))
    except ValueError:
        message = said.removeprefix("twitchaudio: ") or "It ended without a result."
        return replace(state, outcome="failed", message=message[:500])
    failed = cast("list[dict[str, str]]", values.get("failed", []))
    return replace(
        state,
        outcome="done",
        added=int(values.get("added", 0)),
        already=int(values.get("already", 0)),
        failed=len(failed),
        failures=[(each["path"], each["reason"]) for each in failed[:MAX_FAILURES]],
    )


def readable_path(text: str) -> str:
    """The path of a folder or file that the server can read. Raises TwitchAudioError `invalid-input`."""
    if not text:
        raise invalid_input("Enter the path of a folder or file on the server's machine.")
    shown = printable(text)[:200]
    if len(text) > MAX_PATH or "\0" in text:
        raise invalid_input("That is not a path.")
    path = Path(text)
    if not path.is_absolute():
        raise invalid_input(f"{shown} is not a whole path: it has to begin with /.")
    try:
        path.stat()
        is_folder = path.is_dir()
        if is_folder:
            with os.scandir(path):
                pass
        readable = os.access(path, os.R_OK | os.X_OK if is_folder else os.R_OK)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise invalid_input(f"There is nothing at {shown} on the server's machine.") from error
    except OSError as error:
        raise invalid_input(f"The server cannot read {shown}: {error.strerror}.") from error
    if not readable:
        raise invalid_input(f"The server may not read {shown}.")
    return str(path)
