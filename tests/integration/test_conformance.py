"""The simulated Twitch, proven by players that nobody here wrote: they find and read live, clip and VOD on it.

If these fail after a player was renewed, Twitch has changed, and the simulator and our own client must follow.
"""

import os
import shutil
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import pytest_asyncio

from fingerprint.domain.audio import Pcm
from tests.integration.capture_twitch import SLUG, VIDEO, heard, tone
from tests.integration.real_clients import NAMES, Authority, RealClients, make_authority, real_clients, sound_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]

LADDER = {tone(second) for second in range(60)}


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> AsyncGenerator[RealClients]:
    async with real_clients(tmp_path_factory.mktemp("clients"), authority) as clients:
        yield clients


@pytest_asyncio.fixture(loop_scope="module")
async def clients(running: RealClients) -> AsyncGenerator[RealClients]:
    running.twitch.reset()
    running.connected.clear()
    yield running
    assert set(running.connected) <= set(NAMES), "they wanted to go where the simulator is not"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "heard"


def is_ladder(pcm: Pcm) -> bool:
    """Whether every second has one of the ladder's tones: no advertisement, and no gap."""
    seconds = [0.5 + second for second in range(int(pcm.duration_seconds) - 1)]
    return all(min(abs(heard(pcm, second) - known) for known in LADDER) < 12 for second in seconds)


# --- streamlink: gql's persisted queries, usher v2 -------------------------------------------------------


@pytest.mark.parametrize(
    "switches",
    [{}, {"fragmented": True}, {"preroll_seconds": 6.0}],
    ids=["mpegts", "fragmented", "preroll"],
)
async def test_streamlink_reads_a_live_stream(
    clients: RealClients, file: Path, switches: dict[str, bool | float]
) -> None:
    clients.twitch.configure_channel("ladder", **switches)
    ran = await clients.streamlink(
        "--stream-segmented-duration", "4", "twitch.tv/Ladder", "audio_only", "-o", str(file)
    )
    assert ran.code == 0, ran.output
    if "preroll_seconds" in switches:
        assert "Detected advertisement break of 6 seconds" in ran.output
    pcm = sound_of(file)
    assert pcm.duration_seconds == pytest.approx(4.0, abs=0.2)
    assert is_ladder(pcm)


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        ({"offline": True}, "No playable streams found"),
        pytest.param({"missing": True}, "No playable streams found", marks=pytest.mark.nightly),
        ({"geoblocked": True}, "Content Restricted In Region"),
    ],
    ids=["offline", "missing", "geoblocked"],
)
async def test_streamlink_is_refused_as_by_twitch(
    clients: RealClients, file: Path, switches: dict[str, bool], words: str
) -> None:
    clients.twitch.configure_channel("ladder", **switches)
    ran = await clients.streamlink("twitch.tv/ladder", "best", "-o", str(file))
    assert ran.code == 1
    assert words in ran.output


async def test_streamlink_reads_a_clip(clients: RealClients, file: Path) -> None:
    ran = await clients.streamlink(f"https://clips.twitch.tv/{SLUG}", "worst", "-o", str(file))
    assert ran.code == 0, ran.output
    pcm = sound_of(file)
    assert pcm.duration_seconds == pytest.approx(20.0, abs=0.1)
    assert heard(pcm, 0.5) == pytest.approx(tone(5), abs=6)


async def test_streamlink_finds_no_deleted_clip(clients: RealClients) -> None:
    clients.twitch.clip(SLUG).configure(missing=True)
    ran = await clients.streamlink(f"https://clips.twitch.tv/{SLUG}", "worst", "--stream-url")
    assert ran.code == 1, ran.output


async def test_streamlink_reads_a_video_from_a_moment_on(clients: RealClients, file: Path) -> None:
    ran = await clients.streamlink(
        *("--stream-segmented-duration", "10", f"https://www.twitch.tv/videos/{VIDEO}?t=0h0m40s"),
        *("audio_only", "-o", str(file)),
    )
    assert ran.code == 0, ran.output
    assert heard(sound_of(file), 0.5) == pytest.approx(tone(40), abs=6)


# --- yt-dlp: gql's full text, usher v1 -----------------------------------------------------------------


@pytest.mark.parametrize(
    "switches",
    [{}, pytest.param({"fragmented": True}, marks=pytest.mark.nightly)],
    ids=["mpegts", "fragmented"],
)
async def test_yt_dlp_reads_a_live_stream(clients: RealClients, file: Path, switches: dict[str, bool]) -> None:
    """It hands live streams to the FFmpeg program."""
    if shutil.which("ffmpeg", path=os.defpath) is None:
        pytest.skip("the FFmpeg program is missing (Debian: apt-get install ffmpeg)")
    clients.twitch.configure_channel("ladder", **switches)
    ran = await clients.yt_dlp(
        *("--downloader-args", "ffmpeg_o:-t 4", "--format", "audio_only", "-o", str(file)),
        "https://www.twitch.tv/ladder",
    )
    assert ran.code == 0, ran.output
    pcm = sound_of(file)
    assert pcm.duration_seconds == pytest.approx(4.0, abs=0.2)
    assert is_ladder(pcm)


@pytest.mark.parametrize(
    ("switches", "words"),
    [
        pytest.param({"offline": True}, "not currently live", marks=pytest.mark.nightly),
        ({"missing": True}, "does not exist"),
        pytest.param({"geoblocked": True}, "403", marks=pytest.mark.nightly),
    ],
    ids=["offline", "missing", "geoblocked"],
)
async def test_yt_dlp_is_refused_as_by_twitch(clients: RealClients, switches: dict[str, bool], words: str) -> None:
    clients.twitch.configure_channel("ladder", **switches)
    ran = await clients.yt_dlp("--get-url", "https://www.twitch.tv/ladder")
    assert ran.code == 1
    assert words in ran.output or "Restricted" in ran.output


async def test_yt_dlp_reads_a_clip(clients: RealClients, file: Path) -> None:
    ran = await clients.yt_dlp("-o", str(file), f"https://clips.twitch.tv/{SLUG}")
    assert ran.code == 0, ran.output
    pcm = sound_of(file)
    assert pcm.duration_seconds == pytest.approx(20.0, abs=0.1)
    assert heard(pcm, 0.5) == pytest.approx(tone(5), abs=6)


async def test_yt_dlp_finds_no_deleted_clip(clients: RealClients) -> None:
    clients.twitch.clip(SLUG).configure(missing=True)
    ran = await clients.yt_dlp("--get-url", f"https://clips.twitch.tv/{SLUG}")
    assert ran.code == 1
    assert "no longer available" in ran.output


async def test_yt_dlp_reads_a_video(clients: RealClients, file: Path) -> None:
    ran = await clients.yt_dlp(
        *("-o", str(file), "--format", "Audio_Only/audio_only", f"https://www.twitch.tv/videos/{VIDEO}")
    )
    assert ran.code == 0, ran.output
    pcm = sound_of(file)
    # The muted 20 s are listed by the name under which nobody gets them.
    assert pcm.duration_seconds == pytest.approx(40.0, abs=0.2)
    assert heard(pcm, 30.5) == pytest.approx(tone(50), abs=6)


async def test_yt_dlp_is_refused_a_video_for_subscribers(clients: RealClients) -> None:
    clients.twitch.video(VIDEO).configure(subscriber_only=True)
    ran = await clients.yt_dlp("--get-url", f"https://www.twitch.tv/videos/{VIDEO}")
    assert ran.code == 1
    assert "ERROR" in ran.output
