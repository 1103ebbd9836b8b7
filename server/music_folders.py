"""Keeps the first catalog in step with folders of music, so that a new release is named within a minute.

The work is that of `twitchaudio catalog sync`, in a process of its own: it holds up no visitor, and a server that
stops leaves a whole catalog. Of several servers on a machine, one does it.

Changes are noticed by the system (inotify and its like, through watchfiles). Where they cannot be, on network file
systems or when there are too many folders, the folders are looked through at intervals, as they are anyway now and
then.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, cast

from watchfiles import watch

from fingerprint.background import Background
from fingerprint.catalog.problems import CatalogBusyError, CatalogError
from fingerprint.catalog.write_lock import WriteLock
from fingerprint.clock import SystemClock
from fingerprint.tasks import cancel_and_wait
from server.observability import Metrics

MAX_REPORT_BYTES: Final = 64 << 20
MAX_ERROR_BYTES: Final = 4096
REMEMBERED_TROUBLES: Final = 2000
"""How many files that could not be read are remembered, so that each is logged once."""

NOTICE_MS: Final = 5_000
"""How often it is looked whether a folder was mounted or replaced meanwhile."""

_BOOT: Final = (
    # A shell that starts a server in the background has it ignore SIGINT, and so would the command.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "import sys; count = int(sys.argv[1]); sys.path[:] = sys.argv[2:2 + count]; "
    "from server.cli import main; sys.exit(main(sys.argv[2 + count:]))"
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTimes:
    """When folders are looked through; in seconds."""

    settle: float = 5.0
    """For so long nothing has changed in a file that is read: it may still be copied."""
    poll: float = 45.0
    """How long it takes until the folders are looked through again where changes cannot be noticed."""
    safety: float = 600.0
    """Likewise where they can."""
    retry: float = 15.0
    """How long it takes until an attempt that failed is repeated, or another server's place is taken."""
    rest: tuple[float, float] = (1.0, 20.0)
    """A pass is followed by a pause as long as it was, at least and at most."""
    stop: float = 15.0
    """How long a pass may take to store what it has decoded when the server stops."""


def sync_command(catalog: str, folders: Sequence[Path], *, workers: int, settle: float) -> Sequence[str]:
    """The command that brings a catalog up to date with folders."""
    options = ("--workers", str(workers), "--settle", str(settle))
    return catalog_command("sync", *map(str, folders), "--catalog", catalog, "--json", *options)


def catalog_command(*arguments: str) -> Sequence[str]:
    """The command that runs `twitchaudio catalog` with some arguments in a process of its own."""
    return sys.executable, "-c", _BOOT, str(len(sys.path)), *sys.path, "catalog", *arguments


class MusicFolders:
    """Watches folders while it is open, unless there are none. An async context manager.

    `command` syncs them and prints its report as JSON. `lock`: the file whose lock tells the server that does it.
    """

    def __init__(
        self,
        folders: Sequence[Path],
        *,
        command: Sequence[str],
        lock: Path,
        metrics: Metrics,
        times: FolderTimes | None = None,
        background: Background | None = None,
    ) -> None:
        self._background = background or Background(SystemClock())
        self._folders = [folder.absolute() for folder in folders]
        self._command = command
        self._lock = lock
        self._times = times or FolderTimes()
        self._passes = metrics.counter(
            "twitchaudio_music_folder_passes_total", "Passes over the watched folders of music.", "outcome"
        )
        self._changed = asyncio.Event()
        self._is_noticed = False
        self._known_troubles: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._last_failure = ""
        self._loop: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._folders:
            self._loop = self._background.start("music folders", self._run)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await cancel_and_wait(self._loop)

    async def _run(self) -> None:
        while True:
            lock = WriteLock(self._lock)
            try:
                await asyncio.to_thread(self._lock.parent.mkdir, parents=True, exist_ok=True)
                await asyncio.to_thread(lock.take)
            except CatalogBusyError:
                pass  # another server does it
            except (CatalogError, OSError) as error:
                self._say_failed(error.detail if isinstance(error, CatalogError) else str(error))
            else:
                try:
                    await self._watch()
                finally:
                    lock.release()
            await asyncio.sleep(self._times.retry)

    async def _watch(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._notice())
            group.create_task(self._keep_in_step())

    async def _keep_in_step(self) -> None:
        while True:
            self._changed.clear()
            begun = time.monotonic()
            wait = await self._pass()
            took = time.monotonic() - begun
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue
            least, most = self._times.rest
            await asyncio.sleep(min(max(took, least), most))

    async def _pass(self) -> float:
        """Bring the catalog up to date once; returns when to do so again, in seconds, if nothing changes."""
        try:
            status, report, said = await self._sync()
        except OSError as error:
            status, report, said = 1, None, str(error)
        if report is None:
            busy = "wait until it is done" in said
            self._passes.add("busy" if busy else "failed")
            if not busy:
                self._say_failed(said or f"exit status {status}")
            return self._times.retry
        self._passes.add("done")
        self._say_done(report)
        if report.get("waiting"):
            return self._times.settle
        return self._times.safety if self._is_noticed else self._times.poll

    async def _sync(self) -> tuple[int, dict[str, Any] | None, str]:
        """Run the command; returns its exit status, its report if there is one, and its last words."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None, "it is a pipe"
        assert process.stderr is not None, "likewise"
        try:
            out, err = await asyncio.gather(
                read_bounded(process.stdout, MAX_REPORT_BYTES, keep_end=False),
                read_bounded(process.stderr, MAX_ERROR_BYTES, keep_end=True),
            )
            status = await process.wait()
        except BaseException:
            await end_command(process, seconds=self._times.stop)
            raise
        lines = err.decode("utf-8", "replace").strip().splitlines()
        try:
            report = cast("dict[str, Any] | None", json.loads(out)) if out.strip() else None
        except ValueError:
            report = None
        return status, report, lines[-1].removeprefix("twitchaudio: ") if lines else ""

    def _say_done(self, report: dict[str, Any]) -> None:
        self._last_failure = ""
        counts = {name: report.get(name, 0) for name in ("added", "moved", "updated", "gone", "excluded")}
        if any(counts.values()):
            _log.info("music_folders_synced", extra=counts)
        for failed in report.get("failed", []):
            self._say_trouble(str(failed["path"]), str(failed["reason"]))
        for path in report.get("missing", []):
            self._say_trouble(str(path), "it does not exist")
        if too_many := report.get("too_many_missing"):
            reason = f"{too_many} of its files cannot be found: is a disk not mounted? They stay in the catalog."
            self._say_trouble(", ".join(map(str, self._folders)), reason)

    def _say_trouble(self, path: str, reason: str) -> None:
        if (path, reason) in self._known_troubles:
            return
        self._known_troubles[path, reason] = None
        while len(self._known_troubles) > REMEMBERED_TROUBLES:
            self._known_troubles.popitem(last=False)
        _log.warning("music_not_read", extra={"path": path, "reason": reason})

    def _say_failed(self, reason: str) -> None:
        if reason != self._last_failure:
            self._last_failure = reason
            _log.error("music_folders_not_synced", extra={"reason": reason})

    async def _notice(self) -> None:
        """Set `_changed` when something changes in the folders, for as long as the system can tell."""
        while True:
            there = await asyncio.to_thread(self._there)
            try:
                if there:
                    await self._notice_in(there)
            except (OSError, RuntimeError) as error:
                if self._is_noticed or not self._last_failure:
                    _log.warning("music_folders_polled", extra={"reason": str(error)[:300]})
            self._is_noticed = False
            await asyncio.sleep(NOTICE_MS / 1000)

    async def _notice_in(self, there: dict[str, tuple[int, int]]) -> None:
        """Likewise, until a folder is mounted, replaced or gone. Raises OSError or RuntimeError."""
        loop, stop = asyncio.get_running_loop(), threading.Event()
        # A thread of its own: one of the shared ones would be taken for good.
        thread = ThreadPoolExecutor(1, "music-folders")
        noticing = asyncio.ensure_future(loop.run_in_executor(thread, self._block, there, stop, loop))
        try:
            await asyncio.shield(noticing)
        finally:
            stop.set()
            thread.shutdown(wait=False)
            await asyncio.gather(noticing, return_exceptions=True)

    def _block(
        self, there: dict[str, tuple[int, int]], stop: threading.Event, loop: asyncio.AbstractEventLoop
    ) -> None:
        own = f"{self._lock.parent.absolute()}{os.sep}"
        for changes in watch(
            *there,
            watch_filter=None,
            stop_event=stop,
            rust_timeout=NOTICE_MS,
            yield_on_timeout=True,
            raise_interrupt=False,
            ignore_permission_denied=True,
        ):
            # What changed while the watching began was not noticed: one more pass finds it.
            is_new, self._is_noticed = not self._is_noticed, True
            moved = not changes and self._there() != there
            if is_new or moved or any(not path.startswith(own) for _, path in changes):
                loop.call_soon_threadsafe(self._changed.set)
            if moved:
                return

    def _there(self) -> dict[str, tuple[int, int]]:
        """The folders that exist, each with what tells whether it is the same."""
        found: dict[str, tuple[int, int]] = {}
        for folder in self._folders:
            try:
                status = folder.stat()
            except OSError:
                continue
            found[str(folder)] = status.st_dev, status.st_ino
        return found


async def end_command(process: asyncio.subprocess.Process, *, seconds: float) -> None:
    """Interrupt a command, which stores what it has decoded; kill it if it does not end in time."""
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGINT)
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def read_bounded(stream: asyncio.StreamReader, most: int, *, keep_end: bool) -> bytes:
    """The beginning or the end of what a stream holds, at most so many bytes; all of it is read."""
    kept = b""
    while chunk := await stream.read(1 << 16):
        kept = (kept + chunk)[-most:] if keep_end else (kept + chunk[: max(0, most - len(kept))])
    return kept
