"""The simulated providers satisfy clients that others wrote: ACRCloud's own, and AudD's."""

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from audd import AsyncAudD  # pyright: ignore[reportMissingTypeStubs] - it is typed, without saying so
from audd.errors import (  # pyright: ignore[reportMissingTypeStubs] - likewise
    AudDAPIError,
    AudDAuthenticationError,
    AudDInvalidAudioError,
    AudDQuotaError,
    AudDRateLimitError,
    AudDSerializationError,
)
from yarl import URL

from fingerprint.domain.audio import Pcm
from fingerprint.providers.samples import wide_wave
from tests.providers.acrcloud_service import ACCESS_KEY, ACCESS_SECRET, AcrCloudService, fingerprint_of
from tests.providers.answers import ACR_TRACK, AUDD_RESULT
from tests.providers.audd_service import API_TOKEN, AuddService, reply
from tests.providers.service import Reply
from tests.unit.catalog.music import tune

CLIENT = Path(__file__).with_name("provider_clients.py")


def wave_file(folder: Path, name: str, pcm: Pcm) -> Path:
    path = folder / name
    path.write_bytes(wide_wave(pcm))
    return path


async def official(authority: Path, url: URL, samples: Sequence[Path], **changed: str) -> list[dict[str, Any]]:
    """The answers of ACRCloud's client: for each sample that to its fingerprint and that to its audio."""
    asked = {"host": f"localhost:{url.port}", "access_key": ACCESS_KEY, "access_secret": ACCESS_SECRET}
    question = asked | changed | {"samples": [str(path) for path in samples]}
    # The client reckons the time by way of the machine's zone, and is wrong in all but one.
    environment = {**os.environ, "SSL_CERT_FILE": str(authority), "TZ": "UTC"}  # noqa: TID251 - handed on
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(CLIENT), env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, _ = await process.communicate(json.dumps(question).encode())
    assert process.returncode == 0
    return json.loads(out)


async def test_acrclouds_own_client_is_served(tmp_path: Path) -> None:
    pytest.importorskip("acrcloud", reason="pyacrcloud is not made for this machine")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)  # pyright: ignore[reportUnknownMemberType] - it takes other libraries' contexts, too
    known = wave_file(tmp_path, "known.wav", tune(3).cut(7, 6))
    unknown = wave_file(tmp_path, "unknown.wav", tune(50).cut(2, 6))
    async with AcrCloudService.running(tls) as service:
        service.teach(fingerprint_of(tune(3)), ACR_TRACK)
        answers = await official(tmp_path / "ca.pem", service.url, [known, unknown])
        assert [answer["status"]["code"] for answer in answers] == [0, 0, 1001, 1001]
        for answer in answers[:2]:
            (track,) = answer["metadata"]["music"]
            assert track["title"] == "Paper Lanterns"
            place = float(track["db_begin_time_offset_ms"]) - float(track["sample_begin_time_offset_ms"])
            assert place == pytest.approx(7_000, abs=600)
        (fingerprint, audio, *_) = service.asked
        assert (fingerprint[0], audio[0]) == ("fingerprint", "audio")
        assert fingerprint[1] * 5 < audio[1]
        (refused, _) = await official(tmp_path / "ca.pem", service.url, [known], access_secret="wrong")
        assert refused["status"]["code"] == 3014
        (refused, _) = await official(tmp_path / "ca.pem", service.url, [known], access_key="wrong")
        assert refused["status"]["code"] == 3001


class Mapped(httpx.AsyncBaseTransport):
    """Leads requests for AudD's host to the simulated service."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._inner = httpx.AsyncHTTPTransport()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert request.url.host == "api.audd.io"
        request.url = request.url.copy_with(scheme="http", host=self._url.host, port=self._url.port)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_audds_own_client_is_served() -> None:
    sample = wide_wave(tune(3).cut(7, 6))
    async with AuddService.running() as service, httpx.AsyncClient(transport=Mapped(service.url)) as http:
        client = AsyncAudD(API_TOKEN, httpx_client=http, max_retries=1)
        assert await client.recognize(sample) is None
        service.found = AUDD_RESULT
        found = await client.recognize(sample, return_metadata=["spotify", "deezer", "apple_music"])
        assert found is not None
        assert (found.title, found.isrc, found.timecode) == ("Paper Lanterns", "ZZN992100042", "01:17")
        assert found.streaming_url("spotify") == "https://open.spotify.com/track/AAAAAAAAAAAAAAAAAAAAA1"
        plain = await client.recognize(sample)
        assert plain is not None
        assert plain.spotify is None
        with pytest.raises(AudDInvalidAudioError):
            await client.recognize(b"this is no sound" * 100)
        with pytest.raises(AudDInvalidAudioError):
            await client.recognize(wide_wave(Pcm(tune(3).cut(7, 6).samples * 0)))
        for scripted, error in (
            (reply(902), AudDQuotaError),
            (reply(611), AudDRateLimitError),
            (reply(100, http=500), AudDAPIError),
            (Reply(body=b"<html>"), AudDSerializationError),
        ):
            service.script.replies.append(scripted)
            with pytest.raises(error):
                await client.recognize(sample)
        with pytest.raises(AudDAuthenticationError):
            await AsyncAudD("wrong", httpx_client=http).recognize(sample)
