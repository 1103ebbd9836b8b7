"""A simulated ACRCloud: checks what the real one checks, and recognizes songs that it was taught.

Fingerprints are points of (frequency, time): two bytes each, and four for the energy. A song is found where many
of its points lie as far apart as the sample's, which is what a service of this kind does.
"""

import base64
import hashlib
import hmac
import json
import ssl
import struct
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web
from yarl import URL

from fingerprint.domain.audio import Pcm
from fingerprint.providers.acrcloud_extractor import load_extractor
from fingerprint.providers.samples import narrow_samples
from tests.providers.service import Form, Reply, Script, give, heard_in, read_form, served

ACCESS_KEY: Final = "testkey0000000000000000000000001"
ACCESS_SECRET: Final = "testsecret00000000000000000000000000001"
MAX_BYTES: Final = 5_000_000
SKEW_SECONDS: Final = 900
SHARE: Final = 0.3
"""The part of a sample's points that a song must have."""

FRAME_MS: Final = 20.0
"""Time between two columns of points: a sample cut at 7 s lies 350 columns into its song."""

MESSAGES: Final = {
    0: "Success",
    1001: "No result",
    2004: "Can't generate fingerprint",
    3001: "Missing/Invalid Access Key",
    3002: "Invalid ContentType. Valid Content-Type is multipart/form-data",
    3006: "Invalid parameters",
    3014: "Invalid Signature",
    3016: "The file size is too big",
}

Points = list[tuple[int, int]]


def status(code: int, message: str | None = None) -> dict[str, Any]:
    """A body without a song."""
    text = message if message is not None else MESSAGES.get(code, "Error")
    return {"status": {"msg": text, "code": code, "version": "1.0"}}


def reply(code: int, message: str | None = None, *, http: int = 200) -> Reply:
    return Reply(status=http, body=json.dumps(status(code, message)).encode())


def points(fingerprint: bytes) -> Points:
    return [struct.unpack_from("<HH", fingerprint, start) for start in range(0, len(fingerprint) - 7, 8)]


@dataclass(slots=True)
class AcrCloudService:
    """The service; `url` once it is served. What was asked is in `asked`: the kind and the size of each sample."""

    script: Script = field(default_factory=Script)
    asked: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    url: URL = field(default_factory=lambda: URL("http://unserved.invalid"))
    _songs: list[tuple[dict[str, Any], Points]] = field(default_factory=list[Any])
    fixed: dict[str, Any] | None = None
    """A track that is always found."""

    @classmethod
    @asynccontextmanager
    async def running(cls, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Self]:
        service = cls()
        async with served(web.post("/v1/identify", service.identify), tls=tls) as url:
            service.url = url
            yield service

    def environment(self) -> dict[str, str]:
        """The variables that make a server ask it."""
        return {
            "ACRCLOUD_HOST": "identify-test.acrcloud.com",
            "ACRCLOUD_ACCESS_KEY": ACCESS_KEY,
            "ACRCLOUD_ACCESS_SECRET": ACCESS_SECRET,
            "TWITCHAUDIO_ACRCLOUD_URL": str(self.url),
        }

    def teach(self, fingerprint: bytes, track: Mapping[str, Any]) -> None:
        """Know a whole song by its fingerprint."""
        self._songs.append((dict(track), points(fingerprint)))

    async def identify(self, request: web.Request) -> web.StreamResponse:
        scripted = self.script.next()
        if request.content_type != "multipart/form-data":
            return web.json_response(status(3002))
        form = await read_form(request)
        sample = form.files.get("sample", ("", b""))[1]
        self.asked.append((form.texts.get("data_type", ""), len(sample)))
        if scripted is not None:
            return await give(request, scripted)
        return web.json_response(self._answer(form))

    def _answer(self, form: Form) -> dict[str, Any]:  # noqa: PLR0911 - one for each check
        texts = form.texts
        needed = {"access_key", "sample_bytes", "timestamp", "signature", "data_type", "signature_version"}
        if texts.get("access_key") != ACCESS_KEY:
            return status(3001)
        if needed - set(texts) or texts["signature_version"] != "1" or "sample" not in form.files:
            return status(3006)
        if texts["data_type"] not in ("fingerprint", "audio"):
            return status(3006)
        if not self._is_signed(texts):
            return status(3014)
        sample = form.files["sample"][1]
        if texts["sample_bytes"] != str(len(sample)):
            return status(3006)
        if len(sample) > MAX_BYTES:
            return status(3016)
        found = self._found(texts["data_type"], sample)
        if isinstance(found, int):
            return status(found)
        body = status(0)
        music = {"timestamp_utc": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()), "music": [found]}
        return body | {"result_type": 0, "cost_time": 0.01, "metadata": music}

    @staticmethod
    def _is_signed(texts: Mapping[str, str]) -> bool:
        lines = ("POST", "/v1/identify", ACCESS_KEY, texts["data_type"], "1", texts["timestamp"])
        made = hmac.new(ACCESS_SECRET.encode(), "\n".join(lines).encode(), hashlib.sha1).digest()
        try:
            old = abs(float(texts["timestamp"]) - time.time())
        except ValueError:
            return False
        return old < SKEW_SECONDS and hmac.compare_digest(base64.b64encode(made).decode(), texts["signature"])

    def _found(self, data_type: str, sample: bytes) -> dict[str, Any] | int:
        """The track, or the code of why there is none."""
        if data_type == "audio":
            heard = heard_in(sample)
            if heard is None:
                return 2004
            sample = fingerprint_of(heard)
        if not sample or len(sample) % 8:
            return 2004
        if self.fixed is not None:
            return self.fixed
        asked = points(sample)
        best: tuple[float, int, dict[str, Any]] | None = None
        for track, known in self._songs:
            share, shift = compare(asked, known)
            if share >= SHARE and (best is None or share > best[0]):
                best = share, shift, track
        if best is None:
            return 1001
        share, shift, track = best
        moments = [moment for _, moment in asked if moment + shift >= 0]
        begin, end = min(moments), max(moments)
        return track | {
            "score": round(70 + 30 * min(1.0, share)),
            # As coarse as the real one.
            "play_offset_ms": max(0, round((shift + end) * FRAME_MS) - 1_000),
            "db_begin_time_offset_ms": round((shift + begin) * FRAME_MS),
            "db_end_time_offset_ms": round((shift + end) * FRAME_MS),
            "sample_begin_time_offset_ms": round(begin * FRAME_MS),
            "sample_end_time_offset_ms": round(end * FRAME_MS),
        }


def compare(asked: Points, known: Points) -> tuple[float, int]:
    """The share of points that lie where the song has them, at the best shift in time; and that shift."""
    moments: dict[int, list[int]] = defaultdict(list)
    for frequency, moment in known:
        moments[frequency].append(moment)
    shifts: Counter[int] = Counter()
    for frequency, moment in asked:
        for near in (-1, 0, 1):
            shifts.update(there - moment for there in moments.get(frequency + near, ()))
    if not shifts:
        return 0.0, 0
    shift = max(shifts, key=lambda each: shifts[each - 1] + shifts[each] + shifts[each + 1])
    there = set(known)
    near = [(frequency, moment) for frequency in (-1, 0, 1) for moment in (-1, 0, 1)]
    hits = sum(any((f + df, m + shift + dm) in there for df, dm in near) for f, m in asked)
    return hits / len(asked), shift


def fingerprint_of(pcm: Pcm) -> bytes:
    """What the official extractor makes of sound; the real service has one, too."""
    return load_extractor()(narrow_samples(pcm))
