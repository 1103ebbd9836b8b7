"""CORS: which pages of other websites may call the API from a browser."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from tests.api_client import ASK, CLIP, open_api
from tests.fakes import FakePipeline

PAGE = "https://app.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,content-type"}


@pytest.fixture
async def api(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncGenerator[ClientSession]:
    known: dict[str, Any] = getattr(request, "param", {"cors_origins": (PAGE, "http://localhost:3000")})
    async with open_api(FakePipeline(SystemClock()), tmp_path, **known) as client:
        yield client


def allowed(headers: Any) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("Access-Control-")}


async def test_a_page_of_a_listed_origin_calls_the_api_with_a_key(api: ClientSession) -> None:
    preflight = await api.options(ASK, headers={"Origin": PAGE, **PREFLIGHT})
    assert (preflight.status, await preflight.read()) == (204, b"")
    assert preflight.headers["Access-Control-Allow-Origin"] == PAGE
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert {"X-API-Key", "Authorization", "Content-Type", "Prefer"} <= set(
        preflight.headers["Access-Control-Allow-Headers"].split(", ")
    )
    assert "Origin" in preflight.headers["Vary"].split(", ")
    headers = {"Origin": PAGE, "Prefer": "wait=30"}
    answers = [
        await api.post(ASK, json=CLIP, headers=headers),
        await api.post(ASK, json=CLIP, headers=headers),
        await api.post(ASK, json={}, headers=headers),
        await api.get("/api/v1/me", headers={**headers, "X-API-Key": "ta_wrong"}),
        await api.get("/api/v1/nothing", headers=headers),
    ]
    assert [answer.status for answer in answers] == [200, 200, 400, 401, 404]
    for answer in (preflight, *answers):
        assert answer.headers["Access-Control-Allow-Origin"] == PAGE
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Set-Cookie" not in answer.headers
    exposed = set(answers[0].headers["Access-Control-Expose-Headers"].split(", "))
    assert {"Retry-After", "ETag", "Age", "Location"} <= exposed
    same = await api.get(
        answers[0].headers["Location"], headers={"Origin": PAGE, "If-None-Match": answers[0].headers["ETag"]}
    )
    assert same.status == 304
    assert same.headers["Access-Control-Allow-Origin"] == PAGE


async def test_other_pages_learn_nothing_and_caches_keep_them_apart(api: ClientSession) -> None:
    for origin in (
        "https://other.example",
        "https://app.example.evil",
        "http://app.example",
        "null",
        PAGE + ":8443",
    ):
        preflight = await api.options(ASK, headers={"Origin": origin, **PREFLIGHT})
        assert preflight.status == 405
        answer = await api.post(ASK, json=CLIP, headers={"Origin": origin, "Prefer": "wait=30"})
        assert answer.status == 200
        for each in (preflight, answer):
            assert not allowed(each.headers)
            assert "Origin" in each.headers["Vary"].split(", ")
    plain = await api.post(ASK, json=CLIP, headers={"Prefer": "wait=30"})
    assert "Origin" in plain.headers["Vary"].split(", ")
    page = await api.get("/", headers={"Origin": PAGE, "Accept": "text/html"})
    assert not allowed(page.headers), "pages are no API"
    assert (await api.options(ASK, headers={"Origin": PAGE})).status == 405, "no preflight"
    assert (await api.options("/api/v1/nothing", headers={"Origin": PAGE, **PREFLIGHT})).status == 404


@pytest.mark.parametrize("api", [{}], indirect=True)
async def test_without_the_setting_there_is_no_cors(api: ClientSession) -> None:
    preflight = await api.options(ASK, headers={"Origin": PAGE, **PREFLIGHT})
    answer = await api.post(ASK, json=CLIP, headers={"Origin": PAGE})
    for each in (preflight, answer):
        assert not allowed(each.headers)
        assert "Origin" not in each.headers.get("Vary", "")
