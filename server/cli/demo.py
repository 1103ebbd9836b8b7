"""`twitchaudio serve --demo`: a simulated Twitch, a catalog of its songs, and the server, to try everything."""

import argparse
import asyncio
import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import aiohttp
from yarl import URL

from fingerprint.catalog.ingest import IngestProgress, IngestReport, ingest
from fingerprint.catalog.parameters import DEFAULT as FINGERPRINT
from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import parse_target
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.setting_formats import Secret
from fingerprint.settings import override_environment, read_settings
from fingerprint.tasks import cancel_and_wait
from fingerprint.upstream_settings import TwitchSettings
from fingerprint.wire import from_json
from server.app import make_app
from server.cli import UsageError
from server.cli.identify import describe
from server.cli.serving import run_until_stopped, serving, stop_signals
from server.observability import configure_logging
from server.own_command import as_typed
from server.settings import ServerSettings
from simulator.accounts import OWN_APPLICATION

FOLDER: Final = "demo"
RUNNING: Final = "running.json"
"""Says, in the folder, which demo runs, and with what settings other commands work on it."""
ADMIN: Final = "viewer_vic"
"""The simulated Twitch signs everyone in as this user."""
ANSWER_SECONDS: Final = 30
_LOG_LEVEL: Final = "warning"
"""The demo's terminal is for the answers; requests are not worth a line each."""


def serve_demo(arguments: argparse.Namespace) -> int:
    """Run the demo until Ctrl-C. Raises TwitchAudioError, one line, when it cannot start."""
    settings = read_settings(ServerSettings)
    configure_logging(_LOG_LEVEL, sys.stderr)
    music: Path | None = arguments.music
    if music is not None and not music.expanduser().is_dir():
        said = f"{music} is not a folder; --music takes a folder of audio files"
        raise UsageError(ProblemCode.INVALID_INPUT, said)
    demo = _Demo(
        settings,
        host=arguments.host,
        port=arguments.port,
        music=None if music is None else music.expanduser().resolve(),
    )
    return run_until_stopped(demo.run())


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Simulator:
    """What the simulator's process reports about itself when it is ready."""

    url: str
    environment: dict[str, str]
    channels: list[str]
    clips: list[str]
    songs: list[Path]


class _Demo:
    """Starts the simulator as a process, indexes its songs, and serves. Values come from the command line."""

    def __init__(self, settings: ServerSettings, *, host: str, port: int, music: Path | None) -> None:
        self._settings = settings
        self._host = host
        self._port = port
        self._music = music
        self._folder = settings.pipeline.data_dir / FOLDER

    async def run(self) -> None:
        """Start everything, show one channel and one clip, and serve until Ctrl-C or SIGTERM."""
        async with stop_signals() as stop, AsyncExitStack() as stack:
            show = asyncio.create_task(self._show(stack))
            stopped = asyncio.create_task(stop.wait())
            try:
                # Ctrl-C counts from the first moment: composing and indexing take a while the first time.
                await asyncio.wait({show, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if show.done():
                    await show
                    await stopped
            finally:
                await cancel_and_wait(show, stopped)
            _say("Stopping.")

    async def _show(self, stack: AsyncExitStack) -> None:
        began = time.monotonic()
        whose = "our composed songs" if self._music is None else f"the music in {self._music}"
        _say(f"Starting a simulated Twitch that plays {whose} (made ready once, kept for the next time) ...")
        twitch = await stack.enter_async_context(self._simulated_twitch())
        _say(f"  {len(twitch.songs)} songs on the air after {time.monotonic() - began:.1f} s")

        # Answers for clips are kept permanently, but other music makes other clips: each demo has a new database.
        answers = stack.enter_context(tempfile.TemporaryDirectory(prefix="twitchaudio-demo-"))
        settings = self._simulated_settings(twitch, Path(answers))
        began = time.monotonic()
        report = await _index(settings.pipeline.catalog_dir, twitch.songs)
        _say(f"  {_indexed(report)} after {time.monotonic() - began:.1f} s")

        address = await stack.enter_async_context(serving(make_app(settings), self._host, self._port))
        stack.enter_context(_told_to_others(self._settings.pipeline.data_dir, twitch.environment, settings))
        _say(f"\nAsking {address} for a live channel and a clip:")
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS + 5)) as session:
            _say("\n" + await _ask(session, address, "channel", twitch.channels[0]))
            _say("\n" + await _ask(session, address, "clip", twitch.clips[0]))
            await _register_callback(session, twitch.url, address)
        _say(
            f"\nOpen {address} and try it:\n"
            f"  channels  {', '.join(twitch.channels)}\n"
            f"  clips     {_lines(twitch.clips)}\n"
            f"Sign-in works too: you will be signed in as the test user {ADMIN}.\n"
            f"The admin pages are at {address / 'admin'}, for the same user.\n"
            + as_typed(
                "In another terminal, `twitchaudio --demo admin settings` and other commands work on this demo.\n"
            )
            + f"The simulated Twitch is at {twitch.url} (docs/simulator.md).\n"
            "Ctrl-C stops everything, and deletes the demo's answers, API keys, webhooks and settings."
        )

    @asynccontextmanager
    async def _simulated_twitch(self) -> AsyncGenerator[_Simulator]:
        """The simulator's process while the block runs. Raises TwitchAudioError when it does not start."""
        cache = self._folder / "media"
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
        command = [sys.executable, "-m", "simulator", "--port", "0", "--json", "--cache", str(cache)]
        if self._music is not None:
            command += ["--music", str(self._music)]
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*command, stdout=pipe, stderr=pipe, limit=1 << 20)
        try:
            assert process.stdout is not None
            line = await process.stdout.readline()
            if not line:
                complaint = (await process.communicate())[1].decode(errors="replace").strip()
                raise invalid_input(complaint.rpartition("\n")[2] or "the simulated Twitch did not start")
            said = json.loads(line)
            yield _Simulator(
                url=said["url"],
                environment=said["environment"],
                channels=said["channels"],
                clips=said["clips"],
                songs=[Path(song) for song in said["songs"]],
            )
        finally:
            # It replaces its files atomically, by renaming them, so it may be killed at any moment.
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _simulated_settings(self, twitch: _Simulator, answers: Path) -> ServerSettings:
        """The operator's settings, pointed at the simulator and away from their own data."""
        whose = "composed" if self._music is None else hashlib.sha256(str(self._music).encode()).hexdigest()[:12]
        pipeline = dataclasses.replace(
            self._settings.pipeline,
            twitch=read_settings(TwitchSettings, twitch.environment),
            # Also named after the fingerprint: another version of it cannot use this catalog.
            data_dir=self._folder / whose / FINGERPRINT.identity,
            database_url=f"sqlite:///{answers / 'answers.sqlite3'}",
            catalog_override=None,
            catalogs=(),
            recognizers=("catalog",),
        )
        return dataclasses.replace(
            self._settings,
            pipeline=pipeline,
            examples=self._settings.examples
            or tuple(parse_target(name) for name in (*twitch.channels[:2], *twitch.clips[:1])),
            twitch_client_id=OWN_APPLICATION.client_id,
            twitch_client_secret=Secret(OWN_APPLICATION.secret or ""),
            twitch_id_url=URL(twitch.environment["TWITCHAUDIO_TWITCH_ID_URL"]),
            twitch_helix_url=URL(twitch.environment["TWITCHAUDIO_TWITCH_HELIX_URL"]),
            admins=(ADMIN,),
        )


@contextmanager
def _told_to_others(data_dir: Path, twitch: Mapping[str, str], settings: ServerSettings) -> Generator[None]:
    """Keep in a file, while the block runs, with what settings a command works on this demo."""
    pipeline = settings.pipeline
    variables = {
        **twitch,
        "TWITCHAUDIO_DATA_DIR": str(pipeline.data_dir),
        "TWITCHAUDIO_DATABASE_URL": pipeline.database_url or "",
        "TWITCHAUDIO_RECOGNIZERS": ",".join(pipeline.recognizers),
        "TWITCHAUDIO_CATALOGS": "",
        "TWITCH_CLIENT_ID": settings.twitch_client_id or "",
        "TWITCH_CLIENT_SECRET": ""
        if settings.twitch_client_secret is None
        else settings.twitch_client_secret.reveal(),
    }
    # A secret that the operator's own environment names by a file would be given twice.
    variables |= {f"{name}_FILE": "" for name in variables}
    file = data_dir / FOLDER / RUNNING
    content = json.dumps({"pid": os.getpid(), "environment": variables})
    file.touch(mode=0o600)
    file.write_text(content)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # another demo may have begun since
            if file.read_text() == content:
                file.unlink()


def use_running_demo() -> None:
    """Let this process work on the demo that runs with the same data folder.

    Raises TwitchAudioError `not-found` without one.
    """
    file = read_settings(PipelineSettings).data_dir / FOLDER / RUNNING
    try:
        found = json.loads(file.read_text())
        if sys.platform != "win32":
            os.kill(found["pid"], 0)
        override_environment(found["environment"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        detail = "No demo is running here: start one with `twitchaudio serve --demo` in another terminal."
        raise TwitchAudioError(ProblemCode.NOT_FOUND, detail) from error


class _CancelledError(Exception):
    """The demo was stopped while it indexed its songs."""


async def _index(catalog: Path, songs: Sequence[Path]) -> IngestReport:
    """Index the songs in a thread; when cancelled, stop after the current file."""
    cancelled = threading.Event()

    def check_cancelled(_progress: IngestProgress) -> None:
        if cancelled.is_set():
            raise _CancelledError

    try:
        return await asyncio.to_thread(ingest, catalog, songs, on_progress=check_cancelled)
    finally:
        cancelled.set()


def _indexed(report: IngestReport) -> str:
    minutes = report.seconds / 60
    added = f"{report.added} songs ({minutes:.0f} min) indexed" if report.added else ""
    known = f"{report.already} songs in the catalog from before" if report.already else ""
    return ", ".join(part for part in (added, known) if part) or "no song could be indexed"


async def _ask(session: aiohttp.ClientSession, address: URL, what: str, name: str) -> str:
    """Identify one target over HTTP, as any client does, and describe the answer in words."""
    headers = {"Prefer": f"wait={ANSWER_SECONDS}"}
    url = address / "api" / "v1" / "identifications"
    try:
        async with session.post(url, json={what: name}, headers=headers) as response:
            body = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"{name}: the server did not answer ({type(error).__name__})"
    if response.status >= 400:
        return f"{name}: {body['detail']}"
    return describe(from_json(body))


async def _register_callback(session: aiohttp.ClientSession, twitch: str, address: URL) -> None:
    """Register our sign-in callback with the simulated Twitch, under each name of this machine."""
    for host in dict.fromkeys((address.host or "", "localhost")):
        callback = str(address.with_host(host).with_path("/login/callback"))
        redirect = {"client_id": OWN_APPLICATION.client_id, "uri": callback}
        async with session.post(f"{twitch}/_control/accounts", json={"redirect": redirect}) as response:
            await response.read()


def _lines(names: Sequence[str]) -> str:
    return "\n            ".join(names)


def _say(text: str) -> None:
    print(text, flush=True)
