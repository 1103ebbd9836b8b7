"""Checks of how the server is set up: settings, folders, database, clock and recognizers of this machine.

`twitchaudio doctor` runs all of them; `twitchaudio serve` says at its start what `settings_warnings` finds.
"""

import asyncio
import platform
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from fingerprint.catalog.index import Catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.clock import SystemClock
from fingerprint.configured_database import database_url, open_configured_database
from fingerprint.database_advice import detail_for_operator
from fingerprint.domain.problems import TwitchAudioError
from fingerprint.jobs import open_job_store
from fingerprint.media.decoder import DecoderPool
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.providers.guard import ProviderGuards
from fingerprint.providers.usage import SqlUsage
from fingerprint.recognizers import REGISTRY
from fingerprint.settings import SettingsError, odd_values, unknown_variables
from fingerprint.step_report import Outcome, StepResult, Verdict
from fingerprint.wiring import checked_names, make_guards, open_recognizers
from server.observability import Metrics
from server.proxy_check import check_public_address
from server.readiness import Trial
from server.readiness_trials import database_trial, job_trial, redis_trial, worker_trials
from server.recognizer_trial import try_recognizer
from server.redis_link import open_redis
from server.setting_formats import is_loopback
from server.settings import ServerSettings
from server.sign_in_check import check_sign_in
from server.store_checks import check_clocks, is_unmade, lossy_texts

LITTLE_SPACE_BYTES: Final = 1 << 30
NO_SPACE_BYTES: Final = 50 << 20
_REMOTE: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "nfs", "nfs4", "smb3", "smbfs"}
)

_STEP_SECONDS: Final = 20.0
_PACKAGES: Final = ("aiohttp", "av", "numpy", "SQLAlchemy")

_OK: Final = (Outcome.OK, ())


def settings_warnings(settings: ServerSettings, environ: Mapping[str, str] | None = None) -> list[str]:
    """A sentence for each variable that is not a setting, each odd value, and each group with a part missing."""
    odd = (*unknown_variables(ServerSettings, environ), *odd_values(ServerSettings, environ))
    return [*odd, *_incomplete(settings)]


def _incomplete(settings: ServerSettings) -> Iterator[str]:
    pipeline = settings.pipeline.providers
    acrcloud = {
        "ACRCLOUD_HOST": pipeline.acrcloud_base,
        "ACRCLOUD_ACCESS_KEY": pipeline.acrcloud_access_key,
        "ACRCLOUD_ACCESS_SECRET": pipeline.acrcloud_access_secret,
    }
    missing = [name for name, value in acrcloud.items() if value is None]
    if 0 < len(missing) < len(acrcloud):
        yield f"ACRCloud is not asked: {' and '.join(missing)} must be set, too."
    if settings.twitch_client_secret is not None and settings.twitch_client_id is None:
        yield "TWITCH_CLIENT_SECRET is set without TWITCH_CLIENT_ID, so signing in is not possible."
    if settings.twitch_client_id is not None and settings.twitch_client_secret is None:
        yield (
            "TWITCH_CLIENT_ID is set without TWITCH_CLIENT_SECRET: the extension can sign in, the website cannot. "
            "Set both for the website."
        )
    shared = not database_url(settings.pipeline).startswith("sqlite")
    if shared and settings.twitch_client_secret is not None and not settings.session_keys:
        yield (
            "TWITCHAUDIO_SESSION_KEY is not set: each server on this database has a key of its own, and people "
            "who sign in on one are not signed in on another. With more than one server, set the same key on all."
        )
    if settings.admins and settings.twitch_client_id is None:
        yield "TWITCHAUDIO_ADMINS is set without TWITCH_CLIENT_ID, so no one can sign in as an operator."
    public = settings.base_url is not None and not is_loopback(settings.base_url.host or "")
    if public and not settings.trusted_proxies:
        yield (
            "TWITCHAUDIO_BASE_URL is a public https address, which takes a proxy. Without "
            "TWITCHAUDIO_TRUSTED_PROXIES all visitors share the proxy's address and its limits."
        )
    if any(network.prefixlen == 0 for network in settings.trusted_proxies):
        yield (
            "TWITCHAUDIO_TRUSTED_PROXIES holds all addresses, so each visitor can claim any address, and no limit "
            "holds. Name your proxy's address or network."
        )


async def check_setup(
    settings: ServerSettings, environ: Mapping[str, str] | None = None, *, paid: bool = False
) -> list[StepResult]:
    """The result of each check, in order, changing nothing; `paid`: recognizers that cost money are asked, too."""

    async def of_settings() -> Verdict:
        warnings = settings_warnings(settings, environ)
        return (Outcome.DIFFERS if warnings else Outcome.OK, tuple(warnings))

    steps: Sequence[tuple[str, Callable[[], Awaitable[Verdict]]]] = (
        ("settings", of_settings),
        ("data folder", lambda: asyncio.to_thread(_folder, settings.pipeline.data_dir)),
        ("database", lambda: _database(settings)),
        ("redis", lambda: _redis(settings)),
        ("clock", lambda: check_clocks(settings)),
        ("decoder", _decoder),
        ("catalog", lambda: asyncio.to_thread(_catalogs, settings.pipeline.catalog_dirs)),
        ("recognizers", lambda: check_recognizers(settings, paid=paid)),
        ("public address", lambda: check_public_address(settings)),
        ("sign-in", lambda: check_sign_in(settings)),
        ("versions", lambda: asyncio.to_thread(_versions)),
    )
    return [await _step(name, check) for name, check in steps]


async def _step(name: str, check: Callable[[], Awaitable[Verdict]]) -> StepResult:
    started = time.monotonic()
    try:
        async with asyncio.timeout(_STEP_SECONDS):
            outcome, notes = await check()
    except TimeoutError as error:
        outcome, notes = Outcome.FAILED, (str(error) or f"no answer within {_STEP_SECONDS:.0f} s",)
    except TwitchAudioError as error:
        outcome, notes = Outcome.FAILED, (detail_for_operator(error),)
    except SettingsError as error:
        outcome, notes = Outcome.FAILED, (str(error),)
    return StepResult(step=name, outcome=outcome, seconds=time.monotonic() - started, notes=notes)


def _folder(folder: Path) -> Verdict:
    """The data folder, or the nearest one above it that exists, takes files and has room for them."""
    existing = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        advice = "Change its owner or its permissions, or let TWITCHAUDIO_DATA_DIR name another folder."
        return Outcome.FAILED, (f"{existing} cannot be written: {error.strerror}. {advice}",)
    note = f"{folder}: {free / (1 << 30):.1f} GiB free"
    if free < NO_SPACE_BYTES:
        return Outcome.FAILED, (f"{note}. Make room on this disk.",)
    kind = filesystem_of(existing, _mounts())
    if kind in _REMOTE:
        advice = "SQLite needs locks that it may not have: use a local disk, or MariaDB for several servers."
        return Outcome.DIFFERS, (note, f"{folder} is on {kind}. {advice}")
    return Outcome.DIFFERS if free < LITTLE_SPACE_BYTES else Outcome.OK, (note,)


def filesystem_of(folder: Path, mounts: str) -> str | None:
    """The kind of file system that a folder is on, such as `ext4`, by the text of Linux's /proc/self/mounts."""
    best, kind = -1, None
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2:
            # Spaces in names are written as octal numbers.
            at = Path(fields[1].replace("\\040", " "))
            if folder.absolute().is_relative_to(at) and len(at.parts) >= best:
                best, kind = len(at.parts), fields[2]
    return kind


def _mounts() -> str:
    try:
        return Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux
        return ""


async def _database(settings: ServerSettings) -> Verdict:
    """The database and the job store answer, have their tables, and take writes."""
    if await asyncio.to_thread(is_unmade, settings):
        return Outcome.OK, ("SQLite; the file is made when the server starts for the first time",)
    clock, seconds = SystemClock(), _STEP_SECONDS / 2
    async with open_configured_database(settings.pipeline) as database:
        await _tried(database_trial(database, clock=clock, seconds=seconds))
        async with open_job_store(settings.pipeline, clock, database) as jobs:
            await _tried(job_trial(jobs, seconds=seconds))
        kind = database.engine.dialect.name
        lossy = await database.read(lossy_texts) if database.remote else []
    note = f"{kind}; jobs in {settings.pipeline.jobs}"
    return Outcome.DIFFERS if lossy else Outcome.OK, (note, *lossy)


async def _tried(trial: Trial) -> None:
    try:
        async with asyncio.timeout(trial.seconds):
            await trial.attempt()
    except TimeoutError as error:
        raise TimeoutError(trial.silent) from error


async def _redis(settings: ServerSettings) -> Verdict:
    """Redis answers, if there is one."""
    if settings.redis_url is None:
        return Outcome.SKIPPED, ("not set (TWITCHAUDIO_REDIS_URL); one server needs none",)
    async with open_redis(settings.redis_url, clock=SystemClock(), metrics=Metrics()) as link:
        await _tried(redis_trial(link, seconds=_STEP_SECONDS / 2))
    return _OK


async def _decoder() -> Verdict:
    """A worker process decodes a second of sound."""
    async with DecoderPool(workers=1) as decoder:
        for trial in worker_trials(decoder, None, catalog_required=False):
            await _tried(trial)
    return _OK


def _catalogs(folders: Sequence[Path]) -> Verdict:
    """The catalogs can be read, and hold something."""
    notes: list[str] = []
    tracks = 0
    for folder in folders:
        try:
            count = len(Catalog(folder).snapshot())
        except CatalogError as error:
            return Outcome.FAILED, (error.detail,)
        tracks += count
        notes.append(f"{folder}: {count} tracks")
    if tracks == 0:
        notes.append("Add music with `twitchaudio catalog add FOLDER`.")
    return Outcome.OK if tracks else Outcome.DIFFERS, tuple(notes)


async def check_recognizers(settings: ServerSettings, *, paid: bool) -> Verdict:
    """Each recognizer answers a question about real sound; those that cost money only if `paid`."""
    pipeline = settings.pipeline
    async with open_recognizers(pipeline) as recognizers:
        missing = await recognizers.unavailable_reason()
    if missing is not None:
        return Outcome.DIFFERS, (missing,)
    names = checked_names(pipeline)
    asked = [name for name in names if paid or REGISTRY[name].free]
    async with _counting_guards(settings) as guards:
        verdicts = await asyncio.gather(*(_recognizer(pipeline, name, guards) for name in asked))
    left = [name for name in names if name not in asked]
    notes = [note for _, note in verdicts]
    if left:
        notes.append(f"{', '.join(left)}: not asked, as a question may cost money; --paid asks each one question")
    worst = max((outcome for outcome, _ in verdicts), key=list(Outcome).index, default=Outcome.OK)
    return worst, tuple(notes)


async def _recognizer(settings: PipelineSettings, name: str, guards: ProviderGuards) -> tuple[Outcome, str]:
    try:
        answer = await try_recognizer(settings, name, guards=guards, wait_seconds=_STEP_SECONDS * 0.8)
    except TwitchAudioError as error:
        return Outcome.FAILED, f"{name}: {detail_for_operator(error)}"
    return (Outcome.OK if answer.as_it_should else Outcome.DIFFERS), str(answer)


@asynccontextmanager
async def _counting_guards(settings: ServerSettings) -> AsyncGenerator[ProviderGuards]:
    """The providers' guards; a question is counted as the server's own are, if there is a database already."""
    if await asyncio.to_thread(is_unmade, settings):
        yield make_guards(settings.pipeline, SystemClock())
        return
    async with open_configured_database(settings.pipeline) as database:
        yield make_guards(settings.pipeline, SystemClock(), usage=SqlUsage(database))


def _versions() -> Verdict:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return Outcome.OK, (f"TwitchAudio {version('twitchaudio')}, Python {platform.python_version()}, {packages}",)
