"""`twitchaudio identify`: name the songs in channels, clips, videos and files, without a server."""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, cast

from fingerprint.catalog.manifest import require_catalog
from fingerprint.catalog.problems import CatalogError
from fingerprint.clock import SystemClock
from fingerprint.configured_database import open_configured_database
from fingerprint.domain.identification import (
    PROBABLY,
    Identification,
    Kind,
    Song,
    Status,
    Timings,
    heard_elsewhere,
    new_identification_id,
)
from fingerprint.domain.links import links_of, search_links_of
from fingerprint.domain.playback import playback_text
from fingerprint.domain.problems import Problem, ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import FileTarget, Target, VideoTarget, parse_target
from fingerprint.domain.text import clock_text, printable
from fingerprint.jobs.clean import clean
from fingerprint.pipeline import Pipeline
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import Clock
from fingerprint.providers.guard import ProviderGuards
from fingerprint.providers.usage import SqlUsage
from fingerprint.recognizers import REGISTRY
from fingerprint.setting_formats import CatalogPlace
from fingerprint.settings import read_settings
from fingerprint.tasks import running_tasks
from fingerprint.wire import to_json
from fingerprint.wiring import checked_names, make_guards, open_pipeline
from server import migrations
from server.access.rules.store import RulesStore
from server.cli.explain import draw_explanation
from server.cli.identify_whole import run_whole, whole_target
from server.cli.spinner import at_work
from server.own_command import as_typed

AT_ONCE: Final = 4
"""How many targets are identified at the same time."""

STANDARD_INPUT: Final = "-"

STEPS: Final = ("resolve", "capture", "fingerprint", "recognize")


def run(arguments: argparse.Namespace) -> int:
    """Identify what the arguments name, and print the answers."""
    texts = cast("list[str]", arguments.targets)
    if STANDARD_INPUT not in texts:
        return _run_on(arguments, texts)
    with tempfile.TemporaryDirectory(prefix="twitchaudio-") as folder:
        file = Path(folder) / "standard input"
        with file.open("wb") as copy:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        return _run_on(arguments, [str(file) if text == STANDARD_INPUT else text for text in texts])


def _run_on(arguments: argparse.Namespace, texts: Sequence[str]) -> int:
    form = cast("str | None", arguments.format)
    try:
        targets = [target_from(text) for text in texts]
        if arguments.whole and len(targets) != 1:
            raise invalid_input("--whole takes one VOD or one file.")
        if form is not None and not arguments.whole:
            raise invalid_input("--format is for --whole.")
        whole = whole_target(targets[0]) if arguments.whole else None
    except TwitchAudioError as error:
        print(printable(f"twitchaudio: {error.detail}"), file=sys.stderr)
        return 2
    settings = read_settings(PipelineSettings)
    if arguments.catalog is not None:
        chosen = cast("CatalogPlace", arguments.catalog)
        settings = dataclasses.replace(settings, catalog_override=chosen)
        try:
            if isinstance(chosen, Path):
                require_catalog(chosen)
        except CatalogError as error:
            # Other recognizers may still answer.
            print(printable(f"twitchaudio: {error.detail}"), file=sys.stderr)
    if arguments.recognizers is not None:
        settings = dataclasses.replace(settings, recognizers=cast("tuple[str, ...]", arguments.recognizers))
    if whole is not None:
        return run_whole(settings, whole, form or ("json" if arguments.json else "text"), counting)
    picture = cast("Path | None", arguments.explain)
    if picture is not None and (len(targets) != 1 or not isinstance(targets[0], FileTarget)):
        print("twitchaudio: --explain takes one audio or video file", file=sys.stderr)
        return 2
    status = asyncio.run(_identify(settings, targets, as_json=bool(arguments.json)))
    if picture is not None and isinstance(targets[0], FileTarget) and status == 0:
        print(printable(draw_explanation(targets[0].path, settings.catalog_dir, picture)), file=sys.stderr)
    return status


def target_from(text: str) -> Target:
    """What an argument means: a file that exists, else something on Twitch. Raises `invalid-input`."""
    path = Path(text).expanduser()
    if _is_file(path):
        return FileTarget(path)
    try:
        return parse_target(text)
    except TwitchAudioError as error:
        if "twitch.tv" in text.lower():
            raise
        raise invalid_input(
            f"No such file: {text[:200]} (and it is not a Twitch channel, clip or URL)."
        ) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        # Names that no file can have.
        return False


async def _identify(settings: PipelineSettings, targets: Sequence[Target], *, as_json: bool) -> int:
    failed = False
    async with (
        counting(settings) as guards,
        open_pipeline(settings, guards=guards) as pipeline,
        answers(pipeline, SystemClock(), targets) as tasks,
    ):
        for number, (identified, task) in enumerate(zip(targets, tasks, strict=True)):
            with at_work(f"Listening to {printable(str(identified.name))[:60]} ..."):
                identification = await task
            failed = failed or identification.status is Status.FAILED
            if as_json:
                print(json.dumps(to_json(identification), allow_nan=False), flush=True)
            else:
                separator = "\n" if number else ""
                print(separator + describe(identification), flush=True)
    return 1 if failed else 0


@asynccontextmanager
async def counting(settings: PipelineSettings) -> AsyncGenerator[ProviderGuards]:
    """The providers' guards, with the usage count that servers share; without providers no database is opened."""
    clock = SystemClock()
    if all(REGISTRY[name].free for name in checked_names(settings)):
        yield make_guards(settings, clock)
        return
    async with open_configured_database(settings) as database:
        try:
            await migrations.upgrade(database)
        except TwitchAudioError as error:
            # Without the count, providers with a budget are not asked, and the others are asked uncounted.
            if error.code is not ProblemCode.BUSY:
                raise
        guards = make_guards(settings, clock, usage=SqlUsage(database))
        with contextlib.suppress(TwitchAudioError):
            chosen = (await RulesStore(database).read()).recognizers.budgets
            if chosen is not None:
                guards.set_budgets(chosen)
        yield guards


@asynccontextmanager
async def answers(
    pipeline: Pipeline, clock: Clock, targets: Sequence[Target]
) -> AsyncGenerator[list[asyncio.Task[Identification]]]:
    """The targets' identifications as tasks, in order; at most `AT_ONCE` are at work at the same time."""
    missing = await pipeline.unavailable_reason()
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(target: Target) -> Identification:
        async with slots:
            asked = Identification(
                id=new_identification_id(),
                kind=target.kind,
                target=target.name,
                created_at=clock.now(),
                at_seconds=target.at_seconds if isinstance(target, VideoTarget) else None,
            )
            if missing is not None:
                problem = Problem(code=ProblemCode.RECOGNIZER_UNAVAILABLE, detail=missing)
                return asked.failed(problem, clock.now())
            return clean(await pipeline.identify(asked, target))

    async with running_tasks(one(target) for target in targets) as tasks:
        yield tasks


# --- For people ---------------------------------------------------------------------------------------


def describe(identification: Identification) -> str:
    """An answer as a few lines of text."""
    lines = [_heading(identification)]
    if identification.problem is not None:
        lines.append(f"  {as_typed(identification.problem.detail)}")
    elif identification.song is None:
        lines.append("  no song was recognized")
    else:
        lines += _song_lines(identification.song, identification)
        lines += _other_songs(identification)
    if heard_elsewhere(identification):
        start = identification.captured_from_seconds or 0.0
        end = start + (identification.captured_seconds or 0.0)
        moment = clock_text(identification.at_seconds or 0.0)
        lines.append(f"  no sound at {moment}: listened from {clock_text(start)} to {clock_text(end)}")
    if identification.place_uncertain:
        lines.append(
            "  Twitch's times do not add up: this may be from shortly before or after the moment asked for"
        )
    took = _timings(identification.timings)
    return "\n".join(map(printable, [*lines, f"  {took}"] if took else lines))


def _heading(identification: Identification) -> str:
    at = identification.at_seconds
    moment = f" at {clock_text(at)}" if at is not None else ""
    return f"{identification.target} ({identification.kind}{moment})"


def _song_name(song: Song) -> str:
    return f"{', '.join(song.artists)} - {song.title}" if song.artists else song.title


def _song_lines(song: Song, identification: Identification) -> list[str]:
    facts: list[str] = []
    if song.album:
        facts.append(f"album {song.album}")
    if song.corrected:
        facts.append("corrected by the channel")
    elif identification.score is not None:
        facts.append(f"{identification.score:.0%} sure")
    if song.offset_seconds is not None:
        length = f" of {clock_text(song.duration_seconds)}" if song.duration_seconds else ""
        facts.append(f"{clock_text(song.offset_seconds)}{length} into the song")
    if playback := playback_text(song):
        facts.append(playback)
    links = [f"  {link}" for link in links_of(song).values() if link]
    searches = [
        f"  {'search:' if number == 0 else '':<7} {link}"
        for number, link in enumerate(search_links_of(song).values())
    ]
    name = f"{PROBABLY}: {_song_name(song)}" if identification.is_probable else _song_name(song)
    return [f"  {name}", *([f"  {', '.join(facts)}"] if facts else []), *links, *searches]


def _other_songs(identification: Identification) -> list[str]:
    """Where each song begins, when a clip or a file holds several."""
    if identification.kind not in (Kind.CLIP, Kind.FILE) or len(identification.songs) < 2:
        return []
    return [f"  {clock_text(song.position_seconds):>7}  {_song_name(song)}" for song in identification.songs]


def _timings(timings: Timings) -> str:
    values = dataclasses.asdict(timings)
    steps = [f"{step} {values[f'{step}_ms']:.0f} ms" for step in STEPS if values[f"{step}_ms"] is not None]
    if timings.total_ms is None or not steps:
        return ""
    return f"{', '.join(steps)}: {timings.total_ms / 1000:.2f} s total"
