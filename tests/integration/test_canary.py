"""The canary against the simulator: what works, what each switch and fault changes, and where it is shown."""

import asyncio
import dataclasses
import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import trustme
from aiohttp import ClientSession
from yarl import URL

from fingerprint.canary import Canary, open_canary
from fingerprint.clock import SystemClock
from fingerprint.domain.targets import ChannelTarget, ClipTarget, VideoTarget
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from fingerprint.step_report import CanaryReport, Outcome
from fingerprint.upstream_settings import TwitchSettings
from server import keys
from server.app import listening as serving
from server.app import make_app
from server.cli import main
from server.settings import ServerSettings
from simulator.ad_signs import AD_SHAPES
from simulator.browser_demands import TABLE
from simulator.channel_switches import ChannelSwitches
from simulator.clip import ClipSwitches
from simulator.faults import GQL_KINDS, Fault, FaultKind, Step
from simulator.simulator import Simulator
from simulator.video import VideoSwitches
from tests.integration.capture_twitch import SLUG, VIDEO, content_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHANNEL = ChannelTarget("ladder")
ALL = (CHANNEL, ClipTarget(SLUG), VideoTarget(VIDEO, 5.0))
COMMAND = ("doctor", "--twitch", "ladder", "--clip", SLUG, "--video", VIDEO)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def twitch(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Simulator]:
    folder = tmp_path_factory.getbasetemp() / "ladder"
    async with Simulator(cache=folder / "media", content=content_of(folder / "music")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def canary(twitch: Simulator) -> AsyncGenerator[Canary]:
    async with open_canary(read_settings(TwitchSettings, twitch.environment())) as opened:
        yield opened


def outcomes(report: CanaryReport) -> dict[str, Outcome]:
    return {step.step: step.outcome for step in report.steps}


async def test_a_twitch_as_recorded_is_all_right(twitch: Simulator, canary: Canary) -> None:
    twitch.reset()
    report = await canary.check(ALL)
    assert [step for step in report.steps if step.outcome is not Outcome.OK] == []
    assert {"playlist", "prefetch", "segment", "decode", "clip", "video"} <= outcomes(report).keys()
    assert sum(name.startswith("token") for name in outcomes(report)) == len(canary.settings.gql_attempts)
    text = "\n".join(report.lines())
    assert "ladder" in text
    assert "127.0.0.1" not in text
    assert json.dumps(report.to_json())


@pytest.mark.parametrize("demand", [demand.name for demand in TABLE])
async def test_a_twitch_that_serves_only_browsers_is_all_right(
    twitch: Simulator, canary: Canary, demand: str
) -> None:
    twitch.reset()
    twitch.demand(demand)
    report = await canary.check(ALL)
    assert [step for step in report.steps if step.outcome is not Outcome.OK] == []


Switches = Mapping[str, bool | str | float]
FAILED, DIFFERS, SKIPPED = Outcome.FAILED, Outcome.DIFFERS, Outcome.SKIPPED


@dataclass(frozen=True, slots=True)
class Change:
    """What the report says, and in which step first, when switches are set or a fault happens."""

    step: str
    outcome: Outcome
    switches: Switches = field(default_factory=dict[str, bool | str | float])
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Same:
    """Why the report stays as it is; shown with `switches` or a `fault`, if there are any."""

    why: str
    switches: Switches = field(default_factory=dict[str, bool | str | float])
    fault: Fault | None = None


Row = Change | Same
RECORDED = "Twitch was recorded to do so"

CHANNEL_ROWS: Mapping[str, Sequence[Row]] = {
    "segment_seconds": [
        Change("playlist", DIFFERS, {"segment_seconds": 6.0}),
        Same(RECORDED, {"segment_seconds": 4.167}),
    ],
    "fragmented": [Change("playlist", DIFFERS, {"fragmented": True})],
    "picture_mbit": [Same("only the sound of a picture is kept")],
    "durations_off": [Change("playlist", DIFFERS, {"durations_off": 0.2})],
    "rounded_durations": [Same("4 s and 4.167 s are both usual", {"rounded_durations": True})],
    "broken": [Change("segment", FAILED, {"broken": "every 1"})],
    "broken_as": [Change("segment", FAILED, {"broken": "every 1", "broken_as": "html"})],
    "encrypted": [Change("playlist", FAILED, {"encrypted": "every 1"})],
    "gaps": [Same("holes are passed over; a broadcast of nothing else is waited for, 15 s")],
    "late_every": [Change("decode", FAILED, {"late_every": 1, "late_seconds": 1.5})],
    "late_seconds": [Same("of late sound the rest is heard", {"late_every": 2, "late_seconds": 1.0})],
    "first_timestamp": [Same("each broadcast has another", {"first_timestamp": 95_440.0})],
    "clock_jumps_every": [Same(RECORDED, {"clock_jumps_every": 1})],
    "clock_jumps_tagged": [Same(RECORDED, {"clock_jumps_every": 2, "clock_jumps_tagged": False})],
    "inits_every": [Change("playlist", DIFFERS, {"fragmented": True, "inits_every": 2})],
    "inits_tagged": [Same("fragmented segments differ in any case, with or without a tag")],
    "dates": [Change("playlist", DIFFERS, {"dates": "none"})],
    "date_jumps_every": [Same("clocks differ by more", {"date_jumps_every": 2, "date_jump_seconds": 1.0})],
    "date_jump_seconds": [Same("only with the switch before")],
    "date_drift": [Same("less than a second in a minute: clocks differ by more")],
    "recorded": [Same("the report has the videos that are named, and asks for no others")],
    "record_lag_seconds": [Same("the report has the videos that are named, and asks for no others")],
    "recording_muted": [Same("the report has the videos that are named, and asks for no others")],
    "offline": [Change("usher v2", FAILED, {"offline": True})],
    "missing": [Change("token 1", FAILED, {"missing": True})],
    "subscriber_only": [Change("token 1", FAILED, {"subscriber_only": True})],
    "geoblocked": [Change("token 1", FAILED, {"geoblocked": True})],
    "stalled": [Change("playlist", DIFFERS, {"stalled": True})],
    "ended": [Change("playlist", DIFFERS, {"ended": True})],
    "end_list_seconds": [Change("usher v2", FAILED, {"ended": True, "end_list_seconds": 0.0})],
    "preroll_seconds": [Change("prefetch", SKIPPED, {"preroll_seconds": 60.0})],
    "ad_shape": [Same("in a break only: the next test has each shape")],
    "ad_overstated_seconds": [Same("in a break only, and its end is not yet there to compare")],
    "ad_unannounced": [Same("in a break only, before anything shows it")],
    "content_title": [Change("playlist", DIFFERS, {"content_title": ""})],
    "date_range_class": [Change("playlist", DIFFERS, {"date_range_class": "twitch-new"})],
    "window_segments": [Change("playlist", DIFFERS, {"window_segments": 5})],
    "prefetch": [Change("prefetch", DIFFERS, {"prefetch": False})],
    "audio": [Change("usher v2", DIFFERS, {"audio": audio}) for audio in ("missing", "apart", "only")],
    "audio_with_video": [Same(RECORDED, {"audio_with_video": True})],
    "token_names": [
        Change("usher v2", FAILED, {"token_names": "nauth"}),
        Same("what is sent is taken", {"token_names": "both"}),
    ],
    "sequence_offset": [Same("numbers begin anywhere", {"sequence_offset": 1_000})],
    "discontinuity_every": [Same(RECORDED, {"discontinuity_every": 2})],
    "portrait": [Same(RECORDED, {"portrait": True})],
    "session_data": [Same(RECORDED, {"session_data": True})],
    "enhanced": [Same("it is not asked for", {"enhanced": True})],
    "hevc_alone": [Change("usher v2", FAILED, {"hevc_alone": True, "audio": "missing"})],
}
VIDEO_ROWS: Mapping[str, Sequence[Row]] = {
    "segment_seconds": [Change("video: playlist", DIFFERS, {"segment_seconds": 4.0})],
    "fragmented": [Same(RECORDED, {"fragmented": True})],
    "picture_mbit": [Same("only the sound of a picture is kept")],
    "durations_off": [Change("video: playlist", DIFFERS, {"durations_off": 0.2})],
    "rounded_durations": [
        Change("video: playlist", DIFFERS, {"rounded_durations": True, "segment_seconds": 4.167})
    ],
    "broken": [
        Change("video", FAILED, {"broken": "0-9"}),
        Change("video", DIFFERS, {"broken": "0-3"}),
    ],
    "broken_as": [Change("video", FAILED, {"broken": "every 1", "broken_as": "html"})],
    "encrypted": [
        Change("video: playlist", FAILED, {"encrypted": "every 1"}),
        Change("video", DIFFERS, {"encrypted": "0-2"}),
    ],
    "gaps": [Change("video", DIFFERS, {"gaps": "0-3"})],
    "late_every": [Change("video", FAILED, {"late_every": 1, "late_seconds": 9.0})],
    "late_seconds": [Same("of late sound the rest is heard", {"late_every": 1, "late_seconds": 1.0})],
    "first_timestamp": [Same("each broadcast has another", {"first_timestamp": 95_440.0})],
    "clock_jumps_every": [Same(RECORDED, {"clock_jumps_every": 1})],
    "clock_jumps_tagged": [Same(RECORDED)],
    "inits_every": [Change("video: playlist", DIFFERS, {"fragmented": True, "inits_every": 1})],
    "inits_tagged": [Same("several init sections differ in any case, with or without a tag")],
    "byte_ranges": [Same("the standard allows it, and it is heard", {"byte_ranges": True})],
    "missing": [Change("video: token", FAILED, {"missing": True})],
    "subscriber_only": [Change("video: token", FAILED, {"subscriber_only": True})],
    "geoblocked": [Change("video: usher v2", FAILED, {"geoblocked": True})],
    "paused_at": [Same("streams drop, and go on", {"paused_at": 20.0, "paused_seconds": 10.0})],
    "paused_seconds": [Same("of no length", {"paused_seconds": 0.0})],
    "muted_from": [Change("video", DIFFERS, {"muted_from": 5.0, "muted_seconds": 5.0})],
    "muted_seconds": [Same("of no length", {"muted_seconds": 0.0})],
    "sound_gone": [Change("video: playlist", FAILED, {"sound_gone": True})],
    "recording": [Same("a video may grow", {"recording": True})],
    "recorded_seconds": [Change("video: playlist", FAILED, {"recording": True, "recorded_seconds": 0.0})],
    "audio": [Change("video: usher v2", DIFFERS, {"audio": "missing"})],
    "token_names": [Change("video: usher v2, nauth", DIFFERS, {"token_names": "token"})],
}
CLIP_ROWS: Mapping[str, Sequence[Row]] = {
    "missing": [Change("clip", FAILED, {"missing": True})],
    "not_ready": [Change("clip", FAILED, {"not_ready": True})],
    "subscriber_only": [Change("clip", FAILED, {"subscriber_only": True})],
    "empty_source_urls": [Change("clip", FAILED, {"empty_source_urls": True})],
    "no_portrait": [Same(RECORDED, {"no_portrait": True})],
    "hevc_top": [Same(RECORDED, {"hevc_top": False})],
    "unsigned_status": [Same("what is asked for is signed")],
    "expired_status": [Same("what is asked for is new")],
    "sound_from": [Change("clip", DIFFERS, {"sound_from": 8.0})],
    "offset": [Same("Twitch may tell it or not", {"offset": 5.0})],
    "picture_mib": [Same("only the sound of a large picture is kept")],
    "description_last": [Same("it is heard all the same", {"description_last": True})],
}


def refused(step: Step, kind: FaultKind, where: str) -> Change:
    return Change(where, FAILED, fault=Fault(step=step, kind=kind))


FAULT_ROWS: Mapping[FaultKind, Sequence[Row]] = {
    **{
        kind: [refused(Step.GQL, kind, "token 1")]
        for kind in (
            FaultKind.RESET,
            FaultKind.TRUNCATED,
            FaultKind.CUT,
            FaultKind.EMPTY,
            FaultKind.BINARY,
            FaultKind.HTML_STATUS,
            FaultKind.REDIRECT_LOOP,
            FaultKind.ENDLESS,
            FaultKind.CHUNKED_CUT,
            FaultKind.SHORTER_LENGTH,
            FaultKind.BROTLI,
            FaultKind.CUT_JSON,
            *GQL_KINDS,
        )
    },
    FaultKind.HUGE: [refused(Step.PLAYLIST, FaultKind.HUGE, "playlist")],
    FaultKind.STATUS: [
        Change("segment", FAILED, fault=Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=403)),
        Change("playlist", FAILED, fault=Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=404)),
    ],
    FaultKind.HTML: [
        refused(Step.USHER, FaultKind.HTML, "usher v2"),
        refused(Step.SEGMENT, FaultKind.HTML, "segment"),
    ],
    FaultKind.LONGER_LENGTH: [refused(Step.SEGMENT, FaultKind.LONGER_LENGTH, "segment")],
    FaultKind.REDIRECT: [refused(Step.SEGMENT, FaultKind.REDIRECT, "prefetch")],
    FaultKind.REDIRECT_AWAY: [refused(Step.USHER, FaultKind.REDIRECT_AWAY, "usher v2")],
    **{
        kind: [Change("token 1", DIFFERS, fault=Fault(step=Step.GQL, kind=kind))]
        for kind in (
            FaultKind.DATA_WITH_ERRORS,
            FaultKind.DATA_WITH_WARNINGS,
            FaultKind.DATA_WITH_UNKNOWN_QUERY,
        )
    },
    FaultKind.OTHER_TYPES: [Same("they are read", fault=Fault(step=Step.GQL, kind=FaultKind.OTHER_TYPES))],
    FaultKind.NULLS_IN_LISTS: [
        Same("they are passed over", fault=Fault(step=Step.GQL, kind=FaultKind.NULLS_IN_LISTS))
    ],
    **{
        kind: [refused(Step.USHER, kind, "usher v2")]
        for kind in (FaultKind.EMPTY_LIST, FaultKind.NO_AUDIO, FaultKind.FILE_URI)
    },
    FaultKind.FOREIGN_HOST: [refused(Step.USHER, FaultKind.FOREIGN_HOST, "playlist")],
    FaultKind.SELF_REFERENCE: [refused(Step.USHER, FaultKind.SELF_REFERENCE, "playlist")],
    FaultKind.UTF16: [refused(Step.PLAYLIST, FaultKind.UTF16, "playlist")],
    **{
        kind: [refused(Step.PLAYLIST, kind, "playlist")]
        for kind in (
            FaultKind.NEGATIVE_DURATIONS,
            FaultKind.NAN_DURATIONS,
            FaultKind.HUGE_DURATIONS,
            FaultKind.ZERO_DURATIONS,
            FaultKind.NO_DURATIONS,
        )
    },
    FaultKind.SLOW: [Same("a step has its time in the report, and is slow only beyond 15 s")],
    FaultKind.DRIP: [Same("a step has its time in the report, and is slow only beyond 15 s")],
    FaultKind.GZIP: [Same("it is asked for", fault=Fault(step=Step.GQL, kind=FaultKind.GZIP))],
    **{
        kind: [Same("the standard allows it", fault=Fault(step=Step.PLAYLIST, kind=kind))]
        for kind in (
            FaultKind.CRLF,
            FaultKind.LONE_CR,
            FaultKind.BOM,
            FaultKind.ODD_ADDRESSES,
            FaultKind.NUMBERED_AGAIN,
            FaultKind.DISCONTINUITIES,
        )
    },
    FaultKind.BACKWARDS: [Same("one look at a playlist cannot show that it goes back")],
    FaultKind.OTHER_RANGE: [Same("neither a clip nor a video is asked for in ranges, as a rule")],
    FaultKind.RANGE_IGNORED: [Same("neither a clip nor a video is asked for in ranges, as a rule")],
}


def rows(table: Mapping[Any, Sequence[Row]], registry: Iterable[Any]) -> list[Any]:
    """The rows of each switch of a registry; one without rows fails, and one that is no switch any more."""
    known = list(registry)
    assert set(table) == set(known), sorted(set(table) ^ set(known))
    return [
        pytest.param(row, id=f"{name}-{number}")
        for name in known
        for number, row in enumerate(table[name])
        if isinstance(row, Change) or row.switches or row.fault
    ]


def names(switches: type[ChannelSwitches | VideoSwitches | ClipSwitches]) -> list[str]:
    return [switch.name for switch in dataclasses.fields(switches)]


AD_CHANGES = {
    "other-class": "unknown date range class",
    "cue": "unknown tag",
    "scte35": "unknown date range class",
    "untitled": "unknown title",
    "unknown-title": "unknown title",
}


def assert_as_said(report: CanaryReport, row: Row, until: str = "") -> None:
    """The row's step has its outcome, with notes, and what comes before it is all right."""
    steps = [each for each in report.steps if each.step not in ("clip", "video") or each.step == until]
    if isinstance(row, Same):
        assert {each.outcome for each in steps} == {Outcome.OK}, (row.why, list(report.lines()))
        return
    named = [each for each in report.steps if each.outcome is row.outcome and each.step.startswith(row.step)]
    assert named, list(report.lines())
    assert all(each.notes for each in named)
    first = next(number for number, each in enumerate(report.steps) if each.step == named[0].step)
    assert all(each.outcome is Outcome.OK for each in report.steps[:first] if each.step != "prefetch")


@pytest.mark.parametrize(
    "row",
    [*rows(CHANNEL_ROWS, names(ChannelSwitches)), *rows(FAULT_ROWS, FaultKind)],
)
async def test_each_switch_of_a_channel_and_each_fault(twitch: Simulator, canary: Canary, row: Row) -> None:
    twitch.reset()
    twitch.configure_channel("ladder", **row.switches)
    if row.switches.get("stalled"):
        twitch.clock.advance(90)
        report = await dataclasses.replace(canary, clock=MovedClock(90)).check([CHANNEL])
    else:
        if row.fault is not None:
            twitch.fail(row.fault)
        report = await canary.check([CHANNEL])
    assert_as_said(report, row)


class MovedClock(SystemClock):
    """A clock that is some seconds ahead."""

    def __init__(self, seconds: float) -> None:
        self._ahead = timedelta(seconds=seconds)

    def now(self) -> datetime:
        return super().now() + self._ahead


@pytest.mark.parametrize("row", rows(VIDEO_ROWS, names(VideoSwitches)))
async def test_each_switch_of_a_video(twitch: Simulator, canary: Canary, row: Row) -> None:
    twitch.reset()
    twitch.video(VIDEO).configure(**row.switches)
    assert_as_said(await canary.check([ALL[2]]), row, until="video")


@pytest.mark.parametrize("row", rows(CLIP_ROWS, names(ClipSwitches)))
async def test_each_switch_of_a_clip(twitch: Simulator, canary: Canary, row: Row) -> None:
    twitch.reset()
    twitch.clip(SLUG).configure(**row.switches)
    assert_as_said(await canary.check([ALL[1]]), row, until="clip")


@pytest.mark.parametrize("shape", AD_SHAPES)
async def test_ads_are_told_by_the_signs_that_are_new(twitch: Simulator, canary: Canary, shape: str) -> None:
    twitch.reset()
    twitch.configure_channel("ladder", ad_shape=shape)
    twitch.channel("ladder").start_ad(30.0, started_ago=10.0)
    steps = {step.step: step for step in (await canary.check([CHANNEL])).steps}
    assert steps["playlist"].outcome is (DIFFERS if shape in AD_CHANGES else Outcome.OK)
    assert AD_CHANGES.get(shape, "") in " ".join(steps["playlist"].notes)
    assert steps["prefetch"].outcome in (SKIPPED, DIFFERS)
    assert "(hidden)" not in " ".join(steps["playlist"].notes)


async def test_clips_and_videos_have_steps_of_their_own(twitch: Simulator, canary: Canary) -> None:
    twitch.reset()
    twitch.clip(SLUG).configure(missing=True)
    twitch.video(VIDEO).configure(missing=True)
    found = outcomes(await canary.check(ALL[1:]))
    failed = {name for name, outcome in found.items() if outcome is Outcome.FAILED}
    assert failed == {"clip", "video: token", "video"}


async def test_the_doctor_wants_a_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TWITCHAUDIO_CANARY", raising=False)
    assert await asyncio.to_thread(main, ("doctor", "--twitch")) != 0
    told = capsys.readouterr().err
    assert "doctor --twitch CHANNEL" in told
    assert told.count("\n") == 1


# --- The command --------------------------------------------------------------------------------------


async def doctor(environment: Mapping[str, str], *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "server",
        *arguments,
        env={**os.environ, **environment},  # noqa: TID251 - a child needs PATH and the like
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_doctor_over_tls(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - as elsewhere
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    folder = tmp_path_factory.getbasetemp() / "ladder"
    async with Simulator(cache=folder / "media", content=content_of(folder / "music"), tls=context) as twitch:
        assert twitch.base_url.startswith("https://")
        trusting = {**twitch.environment(), "SSL_CERT_FILE": str(tmp_path / "authority.pem")}
        status, output = await doctor(trusting, *COMMAND)
        assert status == 0, output
        assert "failed" not in output
        twitch.fail(Fault(step=Step.CLIP, kind=FaultKind.STATUS, status=404))
        status, output = await doctor(trusting, "doctor", "--json", *COMMAND[1:])
        assert status == 1
        assert [step["step"] for step in json.loads(output)["twitch"]["steps"] if step["outcome"] == "failed"] == [
            "clip"
        ]


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_the_doctor_over_ipv6(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "ladder"
    async with Simulator(cache=folder / "media", content=content_of(folder / "music"), host="::1") as twitch:
        assert twitch.base_url.startswith("http://[::1]:")
        for name, value in twitch.environment().items():
            monkeypatch.setenv(name, value)
        assert await asyncio.to_thread(main, COMMAND) == 0
    output = capsys.readouterr().out
    assert "failed" not in output
    assert "::1" not in output


# --- The server ---------------------------------------------------------------------------------------


async def test_the_server_shows_what_it_found(twitch: Simulator, tmp_path: Path) -> None:
    twitch.reset()
    twitch.configure_channel("ladder", date_range_class="twitch-new", content_title="Something else")
    pipeline = PipelineSettings(twitch=read_settings(TwitchSettings, twitch.environment()), data_dir=tmp_path)
    app = make_app(ServerSettings(pipeline=pipeline, canary=(CHANNEL,)))
    async with serving(app, "127.0.0.1", 0) as url, ClientSession(URL(url)) as client:
        assert (await (await client.get("/readyz")).json())["twitch"] is None
        report = await app[keys.CANARY].check()
        assert outcomes(report)["playlist"] is Outcome.DIFFERS
        ready = await (await client.get("/readyz")).json()
        metrics = await (await client.get("/metrics")).text()
    assert "playlist" in ready["twitch"]["differs"]
    assert ready["twitch"]["failed"] == []
    assert 'twitchaudio_canary_steps_total{step="playlist",outcome="differs"} 1' in metrics
    assert "twitchaudio_canary_failed_steps 0" in metrics
    assert 'twitchaudio_twitch_unknown_total{kind="date-range-class",value="twitch-new"}' in metrics
    assert 'twitchaudio_twitch_unknown_total{kind="title",value="Something_else"}' in metrics
