"""`twitchaudio doctor`: checks, step by step, what the service depends on, and prints a report to paste.

A new part is a function from the arguments to its lines and JSON, and one entry in `PARTS`.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from fingerprint.canary import open_canary
from fingerprint.domain.problems import invalid_input
from fingerprint.domain.targets import (
    Target,
    TwitchTarget,
    channel_target,
    clip_target,
    video_target,
)
from fingerprint.settings import read_settings
from fingerprint.step_report import Outcome, step_lines, steps_json
from fingerprint.upstream_settings import TwitchSettings
from server.cli import checked_arguments
from server.cli.spinner import at_work
from server.observability import configure_logging
from server.own_command import as_typed
from server.settings import ServerSettings
from server.setup_checks import check_setup


@dataclass(frozen=True, slots=True)
class CheckedPart:
    """The result of one part: lines for people, the same as JSON, and whether nothing failed."""

    lines: tuple[str, ...]
    content: dict[str, Any]
    ok: bool


def run(arguments: argparse.Namespace) -> int:
    """Check the setup, and print what was found."""
    configure_logging("error", sys.stderr)
    with checked_arguments():
        tuple(_named(arguments))  # before the setup is checked, which takes a while
    with at_work("Checking ..."):
        results = asyncio.run(_parts(arguments))
    if cast("bool", arguments.json):
        print(json.dumps({name: part.content for name, part in results.items()}, allow_nan=False))
    else:
        print(as_typed("\n\n".join("\n".join(part.lines) for part in results.values())))
    return 0 if all(part.ok for part in results.values()) else 1


async def _parts(arguments: argparse.Namespace) -> dict[str, CheckedPart]:
    results = {name: await check(arguments) for name, check in PARTS.items()}
    return {name: part for name, part in results.items() if part is not None}


async def _setup(arguments: argparse.Namespace) -> CheckedPart:
    """How this server is set up. Raises SettingsError."""
    steps = await check_setup(read_settings(ServerSettings), paid=cast("bool", arguments.paid))
    lines = ("Setup", *step_lines(steps))
    ok = all(step.outcome is not Outcome.FAILED for step in steps)
    return CheckedPart(lines, {"ok": ok, "steps": steps_json(steps)}, ok=ok)


async def _twitch(arguments: argparse.Namespace) -> CheckedPart | None:
    """What `--twitch` checks. Raises TwitchAudioError `invalid-input`, SettingsError."""
    if (arguments.twitch, arguments.clip, arguments.video) == (None, None, None):
        return None
    configured = read_settings(ServerSettings).canary
    with checked_arguments():
        targets = _targets(arguments, configured)
    async with open_canary(read_settings(TwitchSettings)) as canary:
        report = await canary.check(targets)
    return CheckedPart(tuple(report.lines()), report.to_json(), ok=not report.failed)


def _targets(arguments: argparse.Namespace, configured: tuple[TwitchTarget, ...]) -> list[TwitchTarget]:
    """What to ask about: what the command line names, else what the settings do. Raises `invalid-input`."""
    chosen: dict[type[Target], TwitchTarget] = {type(target): target for target in configured}
    chosen |= {type(target): target for target in _named(arguments)}
    if not chosen:
        raise invalid_input("Name a channel that is live: doctor --twitch CHANNEL, or in TWITCHAUDIO_CANARY.")
    return list(chosen.values())


def _named(arguments: argparse.Namespace) -> Iterator[TwitchTarget]:
    channel, clip, video = (cast("str | None", getattr(arguments, name)) for name in ("twitch", "clip", "video"))
    if channel:
        yield channel_target(channel)
    if clip:
        yield clip_target(clip)
    if video:
        yield video_target(video)


PARTS: Final[Mapping[str, Callable[[argparse.Namespace], Awaitable[CheckedPart | None]]]] = {
    "setup": _setup,
    "twitch": _twitch,
}
"""Each part by its name in the JSON; None when it was not asked for."""
