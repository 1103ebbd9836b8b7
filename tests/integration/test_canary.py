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


async def test_clips_and_videos_have_steps_of_their_own(twitch: Simulator, canary: Canary) -> None:
    twitch.reset()
    twitch.clip(SLUG).configure(missing=True)
    twitch.video(VIDEO).configure(missing=True)
    found = outcomes(await canary.check(ALL[1:]))
    failed = {name for name, outcome in found.items() if outcome is Outcome.FAILED}
    assert failed == {"clip", "video: token", "video"}


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
