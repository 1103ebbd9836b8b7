"""The canary against the simulator: what works, what each switch and fault changes, and where it is shown."""

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
import trustme
from aiohttp import ClientSession
from yarl import URL

from fingerprint.canary import Canary, CanaryReport, Outcome, open_canary
from fingerprint.domain.targets import ChannelTarget, ClipTarget, VideoTarget
from fingerprint.settings import PipelineSettings, TwitchSettings, read_settings
from server import keys
from server.app import listening as serving
from server.app import make_app
from server.cli import main
from server.settings import ServerSettings
from simulator.ad_signs import AD_SHAPES
from simulator.faults import Fault, FaultKind, Step
from simulator.simulator import Simulator
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


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is different, and the step that should say so first."""

    step: str
    outcome: Outcome
    switches: Mapping[str, bool | str | float] = field(default_factory=dict[str, bool | str | float])
    fault: Fault | None = None


FAILED, DIFFERS, SKIPPED = Outcome.FAILED, Outcome.DIFFERS, Outcome.SKIPPED
CHANGES = [
    Change("token 1", FAILED, fault=Fault(step=Step.GQL, kind=FaultKind.FAILED_INTEGRITY)),
    Change("token 1", FAILED, {"missing": True}),
    Change("usher v2", FAILED, fault=Fault(step=Step.USHER, kind=FaultKind.HTML)),
    Change("usher v2", FAILED, {"offline": True}),
    Change("usher v2", DIFFERS, {"audio": "missing"}),
    Change("playlist", FAILED, fault=Fault(step=Step.PLAYLIST, kind=FaultKind.STATUS, status=404)),
    Change("playlist", DIFFERS, {"content_title": ""}),
    Change("playlist", DIFFERS, {"date_range_class": "twitch-new"}),
    Change("prefetch", DIFFERS, {"prefetch": False}),
    Change("segment", FAILED, fault=Fault(step=Step.SEGMENT, kind=FaultKind.STATUS, status=403)),
    Change("segment", FAILED, fault=Fault(step=Step.SEGMENT, kind=FaultKind.HTML)),
    Change("prefetch", SKIPPED, {"preroll_seconds": 60.0}),
    Change("token 1", FAILED, {"subscriber_only": True}),
    Change("token 1", FAILED, {"geoblocked": True}),
    Change("usher v2", FAILED, {"ended": True, "end_list_seconds": 0.0}),
    Change("usher v2", FAILED, {"token_names": "nauth"}),
    Change("usher v2", DIFFERS, {"audio": "apart"}),
    Change("usher v2", DIFFERS, {"audio": "only"}),
    Change("playlist", DIFFERS, {"ended": True}),
    Change("playlist", DIFFERS, {"window_segments": 5}),
    Change("playlist", DIFFERS, {"segment_seconds": 6.0}),
    Change("playlist", DIFFERS, {"fragmented": True}),
    Change("playlist", FAILED, {"encrypted": "every 1"}),
    Change("segment", FAILED, {"broken": "every 1"}),
    Change("segment", FAILED, {"broken": "every 1", "broken_as": "empty"}),
    Change("decode", FAILED, {"late_every": 1, "late_seconds": 1.5}),
    Change("token 1", FAILED, fault=Fault(step=Step.GQL, kind=FaultKind.CHUNKED_CUT)),
    Change("usher v2", FAILED, fault=Fault(step=Step.USHER, kind=FaultKind.REDIRECT_AWAY)),
    Change("playlist", FAILED, fault=Fault(step=Step.PLAYLIST, kind=FaultKind.UTF16)),
    Change("playlist", FAILED, fault=Fault(step=Step.PLAYLIST, kind=FaultKind.ZERO_DURATIONS)),
    Change("prefetch", FAILED, fault=Fault(step=Step.SEGMENT, kind=FaultKind.REDIRECT)),
    Change("segment", FAILED, fault=Fault(step=Step.SEGMENT, kind=FaultKind.LONGER_LENGTH)),
]
OTHER_SHAPES = [
    {"session_data": True},
    {"segment_seconds": 4.167},
    {"discontinuity_every": 2},
    {"sequence_offset": 1_000},
    {"audio_with_video": True},
    {"portrait": True, "enhanced": True},
    {"first_timestamp": 95_440.0},
    {"clock_jumps_every": 2, "clock_jumps_tagged": False},
    {"token_names": "both"},
]
"""What Twitch was recorded to do, or what players cannot see, is nothing to report."""
AD_CHANGES = {
    "other-class": "unknown date range class",
    "cue": "unknown tag",
    "scte35": "unknown date range class",
    "untitled": "unknown title",
    "unknown-title": "unknown title",
}
STORED = [
    ("clip", FAILED, {"missing": True}),
    ("clip", FAILED, {"not_ready": True}),
    ("clip", FAILED, {"subscriber_only": True}),
    ("clip", FAILED, {"empty_source_urls": True}),
    ("clip", DIFFERS, {"sound_from": 8.0}),
    ("video: token", FAILED, {"missing": True}),
    ("video: token", FAILED, {"subscriber_only": True}),
    ("video: usher v2", FAILED, {"geoblocked": True}),
    ("video: usher v2, nauth", DIFFERS, {"token_names": "token"}),
    ("video: usher v2", DIFFERS, {"audio": "missing"}),
    ("video: playlist", DIFFERS, {"segment_seconds": 4.0}),
    ("video: playlist", DIFFERS, {"fragmented": True, "inits_every": 1}),
    ("video", FAILED, {"broken": "0-9"}),
    ("video", DIFFERS, {"broken": "0-3"}),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.step}-{change.outcome}")
async def test_each_change_is_named_by_its_step(twitch: Simulator, canary: Canary, change: Change) -> None:
    twitch.reset()
    twitch.configure_channel("ladder", **change.switches)
    if change.fault is not None:
        twitch.fail(change.fault)
    report = await canary.check([CHANNEL])
    named = [each for each in report.steps if each.outcome is change.outcome]
    assert any(each.step.startswith(change.step) and each.notes for each in named)
    until = next(number for number, each in enumerate(report.steps) if each.step.startswith(change.step))
    assert all(each.outcome is Outcome.OK for each in report.steps[:until] if each.step != "prefetch")


@pytest.mark.parametrize("switches", OTHER_SHAPES, ids=str)
async def test_what_twitch_is_known_to_do_is_not_reported(
    twitch: Simulator, canary: Canary, switches: dict[str, bool | str | float]
) -> None:
    twitch.reset()
    twitch.configure_channel("ladder", **switches)
    report = await canary.check([CHANNEL])
    assert {step.outcome for step in report.steps if step.step not in ("clip", "video")} == {Outcome.OK}


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


@pytest.mark.parametrize(("step", "outcome", "switches"), STORED, ids=str)
async def test_each_change_of_a_clip_or_video_is_named_by_its_step(
    twitch: Simulator, canary: Canary, step: str, outcome: Outcome, switches: dict[str, bool | str | float]
) -> None:
    twitch.reset()
    (twitch.clip(SLUG) if step == "clip" else twitch.video(VIDEO)).configure(**switches)
    report = await canary.check([ALL[1 if step == "clip" else 2]])
    named = [each for each in report.steps if each.outcome is outcome and each.step.startswith(step)]
    assert named
    assert all(each.notes for each in named)


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
