"""`twitchaudio identify --whole`: the set list of a whole VOD or file, with start times."""

import asyncio
import dataclasses
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from fingerprint.domain.problems import ProblemCode, TwitchAudioError, invalid_input
from fingerprint.domain.targets import FileTarget, Target, VideoTarget
from fingerprint.domain.text import clock_text, printable
from fingerprint.domain.tracklist import Tracklist, TracklistEntry
from fingerprint.jobs.clean import clean_song
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.providers.guard import ProviderGuards
from fingerprint.wiring import open_pipeline
from server.api.link_files import LABELS, empty_link_files
from server.api.set_list_files import FILES, NamedTracklist, text_line
from server.api.set_list_forms import TracklistJson
from server.channels.video_set_list import SetListStatus
from server.own_command import as_typed

Counting = Callable[[PipelineSettings], AbstractAsyncContextManager[ProviderGuards]]


PROGRESS_SECONDS: Final = 60.0
"""How much of the recording is listened to between two lines about the progress."""

SETTLED_SECONDS: Final = 60.0
"""A song is printed once the listening is so far behind its start: it may still turn out to be another one's."""


def whole_target(target: Target) -> VideoTarget | FileTarget:
    """What has a whole to listen to. Raises `invalid-input`."""
    if isinstance(target, VideoTarget | FileTarget):
        return dataclasses.replace(target, at_seconds=0.0) if isinstance(target, VideoTarget) else target
    raise invalid_input("--whole takes one VOD or one file.")


@dataclass(slots=True)
class WholeRun:
    """Listens to one recording, and prints its set list: as text while it goes, other formats at the end."""

    target: VideoTarget | FileTarget
    form: str
    found: Tracklist = dataclasses.field(default_factory=Tracklist)
    _printed: set[float] = dataclasses.field(default_factory=set[float])
    _told: float = 0.0

    async def listen(self, settings: PipelineSettings, guards: ProviderGuards) -> None:
        """Listen from start to end. Raises TwitchAudioError."""
        async with open_pipeline(settings, guards=guards) as pipeline:
            whole = pipeline.whole
            assert whole is not None, "the wiring makes it"
            missing = await whole.unavailable_reason()
            if missing is not None:
                raise TwitchAudioError(ProblemCode.RECOGNIZER_UNAVAILABLE, missing)
            async for found in whole.listen(self.target):
                self._take(found)

    def _take(self, found: Tracklist) -> None:
        self.found = cleaned(found)
        if self.form == "text":
            self._print(until=found.position - SETTLED_SECONDS)
        if sys.stderr.isatty() and found.position - self._told >= PROGRESS_SECONDS:
            self._told = found.position
            length = "" if found.duration is None else f" of {clock_text(found.duration)}"
            count = len(found.songs)
            print(f"  {clock_text(found.position)}{length}, {count} songs", file=sys.stderr, flush=True)

    def _print(self, *, until: float) -> None:
        for entry in self.found.songs:
            if entry.start <= until and entry.start not in self._printed:
                self._printed.add(entry.start)
                print(printable(text_line(entry)), flush=True)

    def finish(self, status: SetListStatus) -> None:
        """Print what is not printed yet."""
        named = NamedTracklist(
            kind=str(self.target.kind), target=Path(self.target.name).name, tracklist=self.found, paths=True
        )
        if self.form == "text":
            self._print(until=float("inf"))
            if not self.found.songs:
                print("no song was recognized")
            for start, end in self.found.muted:
                print(f"muted: {clock_text(start)} to {clock_text(end)}", file=sys.stderr)
            if status is not SetListStatus.SUCCESSFUL:
                print(f"stopped at {clock_text(self.found.position)}", file=sys.stderr)
        elif self.form == "json":
            print(msgspec.json.encode(TracklistJson.of(named, status)).decode(), flush=True)
        else:
            ending = self.form if self.form in FILES else f"{self.form}.txt"
            sys.stdout.write(FILES[ending][1](named))
            sys.stdout.flush()
            if ending in empty_link_files([entry.song for entry in self.found.songs]):
                print(f"None of the songs has a known link to {LABELS[ending]}.", file=sys.stderr)


def cleaned(found: Tracklist) -> Tracklist:
    """The tracklist as it may be stored and shown."""

    def entry(each: TracklistEntry) -> TracklistEntry:
        return dataclasses.replace(each, song=clean_song(each.song))

    return dataclasses.replace(found, entries=tuple(map(entry, found.entries)))


def run_whole(settings: PipelineSettings, target: VideoTarget | FileTarget, form: str, counting: Counting) -> int:
    """Listen, and print. Ctrl-C ends it with what was found, and the status 130. `counting` opens the guards."""
    run = WholeRun(target, form)

    async def work() -> None:
        async with counting(settings) as guards:
            await run.listen(settings, guards)

    try:
        asyncio.run(work())
    except KeyboardInterrupt:
        run.finish(SetListStatus.CANCELLED)
        return 130
    except TwitchAudioError as error:
        if run.found.songs:
            run.finish(SetListStatus.FAILED)
        print(printable(f"twitchaudio: {as_typed(error.detail)}"), file=sys.stderr)
        return 1
    run.finish(SetListStatus.SUCCESSFUL)
    return 0
