"""Uploaded recordings: a form with a file in place of something on Twitch."""

import asyncio
import gc
import hashlib
import io
import math
import wave
from array import array
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from aiohttp import ClientSession, FormData

from fingerprint.clock import SystemClock
from fingerprint.database import open_database
from fingerprint.domain.targets import Target, UploadTarget
from fingerprint.media.capture import StreamCapture
from fingerprint.media.decoder import DecoderPool
from fingerprint.media.fetch import Fetcher
from fingerprint.pipeline import Pipeline
from fingerprint.ports import FileSource, MediaSource
from server.access.identity.api_keys import ApiKeyStore
from server.api import uploads
from server.api.uploads import MAX_UPLOAD_BYTES
from tests.api_client import ASK, CLIP, assert_problem
from tests.fakes import FakePipeline, FakeResolver


class FilesAlone(FakeResolver):
    """Resolves uploads as they are resolved in truth."""

    async def resolve(self, target: Target) -> MediaSource:
        assert isinstance(target, UploadTarget)
        self.asked.append(target)
        return FileSource(path=target.path, max_seconds=60.0)


@pytest.fixture
async def parts() -> AsyncGenerator[FakePipeline]:
    async with DecoderPool(workers=1) as decoder:
        parts = FakePipeline(SystemClock())
        parts.resolver = FilesAlone()
        capture = StreamCapture(cast("Fetcher", None), decoder, SystemClock())
        parts.pipeline = Pipeline(
            resolver=parts.resolver, capture=capture, recognizers=parts.recognizers, clock=SystemClock()
        )
        yield parts


def recording(seconds: float = 2.0, hertz: float = 440.0) -> bytes:
    """A WAV file with a tone."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        tone = (round(9_000 * math.sin(2 * math.pi * hertz * n / 16_000)) for n in range(round(seconds * 16_000)))
        writer.writeframes(array("h", tone).tobytes())
    return file.getvalue()


def form(content: Any, name: str = "file", content_type: str = "audio/wav") -> FormData:
    data = FormData()
    data.add_field(name, io.BytesIO(content), filename="x.wav", content_type=content_type)
    return data


def open_files() -> set[int]:
    """The identities of the uploads that are still held."""
    gc.collect()
    return {id(each) for each in gc.get_objects() if isinstance(each, uploads._UnnamedFile)}  # pyright: ignore[reportPrivateUsage]


async def test_a_recording_is_identified_once_for_all_who_send_it(api: ClientSession, parts: FakePipeline) -> None:
    before = (
        open_files()
    )  # aiohttp's cache of handlers keeps the applications of earlier tests, and so their files.
    sound = recording()
    both = await asyncio.gather(
        *(api.post(ASK, data=form(sound), headers={"Prefer": "wait=30"}) for _ in range(2)),
        api.post(
            ASK,
            data=form(recording(70.0, 300.0), content_type="application/octet-stream"),
            headers={"Prefer": "wait=30"},
        ),
    )
    first, second, longer = [await each.json() for each in both]
    assert [each.status for each in both] == [200, 200, 200]
    assert (first["kind"], first["status"], first["song"]["title"]) == ("file", "successful", "Night Drive")
    assert first["target"] == hashlib.sha256(sound).hexdigest()
    assert first["captured_seconds"] == pytest.approx(2.0, abs=0.1)
    assert second["id"] == first["id"]
    assert longer["captured_seconds"] == pytest.approx(60.0, abs=0.1), "no more than a minute is heard"
    again = await api.post(ASK, data=form(sound))
    assert (again.status, (await again.json())["id"]) == (200, first["id"])
    assert len(parts.resolver.asked) == 2
    assert (await (await api.get(both[0].headers["Location"])).json())["song"] == first["song"]
    parts.resolver.asked.clear()
    assert open_files() <= before, "the files are gone"


async def test_what_is_no_recording_is_refused_in_plain_words(api: ClientSession, parts: FakePipeline) -> None:
    answer = await (await api.post(ASK, data=form(b"no sound at all"), headers={"Prefer": "wait=30"})).json()
    assert (answer["status"], answer["problem"]["code"]) == ("failed", "no-audio")
    two = form(recording(0.1))
    two.add_field("file", b"x", filename="y")
    wrong: list[tuple[Any, str, int]] = [
        (form(b""), "invalid-input", 400),
        (form(recording(0.1), name="sound"), "invalid-input", 400),
        (two, "invalid-input", 400),
        (form(b"<html>", content_type="text/html"), "invalid-input", 415),
        (form(b"\0" * (MAX_UPLOAD_BYTES + 1)), "invalid-input", 413),
    ]
    for data, code, status in wrong:
        problem = await assert_problem(await api.post(ASK, data=data), code, status)
        assert "JSON" not in problem["detail"]
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (
        b"",
        b"--x--\r\n",
        b"--x\r\n",
        b"nothing",
        b"--x\r\nContent-Disposition: form-data; name=file\r\n",
    ):
        await assert_problem(await api.post(ASK, data=body, headers=headers), "invalid-input", 400)
    bare = {"Content-Type": "multipart/form-data"}
    await assert_problem(await api.post(ASK, data=recording(0.1), headers=bare), "invalid-input", 400)
    foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://other.example"}
    await assert_problem(await api.post(ASK, data=form(recording(0.1)), headers=foreign), "csrf", 403)
    assert len(parts.resolver.asked) == 1


async def test_a_key_needs_the_scope_for_files(api: ClientSession, address: str) -> None:
    async with open_database(address) as database:
        store, made = ApiKeyStore(database), datetime.now(UTC)
        _, without = await store.create("a bot", now=made)
        _, allowed = await store.create("a bot", now=made, scopes=["files"])
    for secret, status in ((without, 403), (allowed, 200)):
        headers = {"X-API-Key": secret.reveal(), "Prefer": "wait=30"}
        answer = await api.post(ASK, data=form(recording(0.5)), headers=headers)
        assert answer.status == status, await answer.text()
    await assert_problem(await api.post(ASK, json=CLIP, headers={"X-API-Key": allowed.reveal()}), "forbidden", 403)
