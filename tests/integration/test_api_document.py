"""The OpenAPI document says what the server does: the same routes, and answers of the described form."""

import asyncio
import json
import re
from typing import Any, cast

import pytest
from aiohttp import ClientResponse, ClientSession

from fingerprint.domain.identification import CatalogRef, ExternalIds
from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode, TwitchAudioError, UpstreamError
from fingerprint.ports import Match
from server.api.openapi import openapi_document
from server.app import make_app
from server.settings import ServerSettings
from tests.api_client import ASK, CLIP, STREAM, ask, read_events
from tests.builders import song
from tests.fakes import FakePipeline

Schema = dict[str, Any]

_KEYWORDS = {
    "$ref", "type", "properties", "required", "additionalProperties", "items", "enum", "const", "oneOf", "anyOf",
    "minimum", "maximum", "format", "description", "examples", "default",
}  # fmt: skip
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def problems_of(value: Any, schema: Schema, document: Schema, where: str = "$") -> list[str]:
    """Where a value is not what a schema says: the part of JSON Schema 2020-12 that the document uses."""
    unknown = set(schema) - _KEYWORDS
    if unknown:
        return [f"{where}: the checker does not know {unknown}"]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return problems_of(value, document["components"]["schemas"][name], document, where)
    found = _branches(value, schema, document, where)
    wanted: list[str] = schema["type"] if isinstance(schema.get("type"), list) else [schema.get("type", "")]
    if "type" in schema and not any(_is(value, name) for name in wanted):
        return [*found, f"{where}: {value!r} is no {wanted}"]
    found += _scalars(value, schema, where)
    if isinstance(value, dict) and "properties" in schema:
        fields = cast("dict[str, Any]", value)
        found += [f"{where}: {name} is missing" for name in schema["required"] if name not in fields]
        found += [f"{where}: {name} is not described" for name in fields if name not in schema["properties"]]
        for name in set(fields) & set(schema["properties"]):
            found += problems_of(fields[name], schema["properties"][name], document, f"{where}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(cast("list[Any]", value)):
            found += problems_of(item, schema["items"], document, f"{where}[{number}]")
    return found


def _branches(value: Any, schema: Schema, document: Schema, where: str) -> list[str]:
    found: list[str] = []
    for word, most in (("oneOf", 1), ("anyOf", 99)):
        if word in schema:
            branches = [problems_of(value, branch, document, where) for branch in schema[word]]
            if not 1 <= sum(not branch for branch in branches) <= most:
                found.append(f"{where}: {word} does not hold: {branches}")
    return found


def _scalars(value: Any, schema: Schema, where: str) -> list[str]:
    found: list[str] = []
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is not listed")
    if "const" in schema and value != schema["const"]:
        found.append(f"{where}: {value!r} is not {schema['const']!r}")
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get(
        "maximum", value
    ):
        found.append(f"{where}: {value} is out of range")
    if schema.get("format") == "date-time" and isinstance(value, str) and not _DATE_TIME.fullmatch(value):
        found.append(f"{where}: {value!r} is no time")
    return found


def _is(value: Any, name: str) -> bool:
    return isinstance(value, _TYPES[name]) and (name == "boolean" or not isinstance(value, bool))


class Checker:
    """Holds answers against the document."""

    def __init__(self, document: Schema) -> None:
        self.document = document
        self.seen: set[tuple[str, str, int]] = set()

    async def check(self, response: ClientResponse, path: str) -> Any:
        """The answer's body; fails where the document says something else about it."""
        method = response.method.lower()
        answers = self.document["paths"][path][method]["responses"]
        assert str(response.status) in answers, f"{method} {path} answers {response.status}"
        described = answers[str(response.status)]
        self.seen.add((method, path, response.status))
        assert response.content_type in described["content"], f"{path}: {response.content_type}"
        for name in set(response.headers) & {"Location", "Preference-Applied", "Retry-After"}:
            assert name in described.get("headers", {}), f"{method} {path} {response.status}: {name}"
        schema = described["content"][response.content_type]["schema"]
        if response.content_type == "text/event-stream":
            events = await read_events(response)
            for _, data in events:
                assert problems_of(data, {"$ref": "#/x/Identification"}, self.document) == []
            return events
        text = await response.text()
        body = json.loads(text) if "json" in response.content_type else text
        assert problems_of(body, schema, self.document) == []
        return body


@pytest.fixture
async def checker(api: ClientSession) -> Checker:
    return Checker(await (await api.get("/api/v1/openapi.json")).json())


def test_the_document_has_exactly_the_servers_api_routes(parts: FakePipeline) -> None:
    app = make_app(ServerSettings(), pipeline=parts.pipeline)
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    pages = {("GET", "/"), ("POST", "/"), ("GET", "/docs")}
    api_routes = {
        (method, path)
        for method, path in routes - pages
        if path.startswith("/api/")
        or path in ("/healthz", "/readyz", "/metrics", "/channels/{login}/songs.{kind}")
    }
    document = openapi_document()
    described = {(method.upper(), path) for path, operations in document["paths"].items() for method in operations}
    assert described == api_routes


def test_the_document_is_sound() -> None:
    document = json.loads(json.dumps(openapi_document()))
    assert document["openapi"].startswith("3.1.")
    references = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document))
    assert set(references) == set(document["components"]["schemas"])
    names = [op["operationId"] for ops in document["paths"].values() for op in ops.values()]
    assert len(names) == len(set(names))
    for path, operations in document["paths"].items():
        for operation in operations.values():
            described = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert described == set(re.findall(r"\{(\w+)\}", path))
    assert document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"] == sorted(PROBLEM_KINDS)


async def test_answers_are_what_the_document_says(
    api: ClientSession, parts: FakePipeline, checker: Checker
) -> None:
    full = song(
        album="Roads",
        label="Our Label",
        isrc="QZES71982312",
        duration_seconds=201.4,
        offset_seconds=63.2,
        ids=ExternalIds(spotify_track="4uLU6hMCjMI75M1A2tKUQC", youtube="dQw4w9WgXcQ", deezer_track="3135556"),
        catalog=CatalogRef(track_id="abc", path="music/roads.flac"),
    )
    parts.recognizers.matches = [Match(song=full, score=0.93)]
    parts.capture.gate.clear()
    started = await checker.check(await ask(api), ASK)
    one = f"{ASK}/{{id}}"
    await checker.check(await api.get(f"{ASK}/{started['id']}"), one)
    events = await api.get(f"{ASK}/{started['id']}/events")
    listening = asyncio.create_task(checker.check(events, f"{one}/events"))
    await asyncio.sleep(0.05)
    parts.capture.gate.set()
    assert (await listening)[-1][0] == "result"
    await checker.check(await ask(api, CLIP, wait=30), ASK)
    await checker.check(await ask(api, {"video": "123456789", "at": 5}, wait=30), ASK)
    await checker.check(await api.get(f"{ASK}/{started['id']}", headers={"Prefer": "wait=30"}), one)
    await checker.check(await api.get("/api/v1/clips/AwkwardSlug-x_1"), "/api/v1/clips/{slug}")
    songs = "/api/v1/channels/{login}/songs"
    await checker.check(await api.get("/api/v1/channels/somechannel/songs"), songs)
    for kind in ("csv", "json", "m3u8", "m3u", "spotify.txt", "youtube.txt"):
        await checker.check(await api.get(f"/channels/somechannel/songs.{kind}"), "/channels/{login}/songs.{kind}")
    await checker.check(await api.get("/channels/somechannel/songs.xls"), "/channels/{login}/songs.{kind}")
    await checker.check(await api.get("/api/v1/songs/abc"), "/api/v1/songs/{id}")
    await checker.check(await api.get("/api/v1/songs/QZES71982312?limit=1"), "/api/v1/songs/{id}")
    for path in ("/api/v1/status", "/api/v1/me", "/api/v1/openapi.json", "/healthz", "/readyz", "/metrics"):
        await checker.check(await api.get(path), path)
    # Every operation was seen to work.
    operations = {(m, p) for p, ops in checker.document["paths"].items() for m in ops}
    # Redeeming takes somebody who is signed in; tests/integration/test_access_lists.py does.
    redeem = "/api/v1/access-codes/redeem"
    await checker.check(await api.post(redeem, json={"code": "x"}), redeem)
    await checker.check(await api.post(redeem, json={"code": 5}), redeem)
    line = "/api/v1/channels/{login}/song.txt"
    await checker.check(await api.get("/api/v1/channels/somechannel/song.txt"), line)
    works = {(method, path) for method, path, status in checker.seen if status < 300}
    # Events without an end, what is answered without a body, and what takes the channel's owner:
    # tests/integration/test_channels.py.
    elsewhere = {
        ("get", "/api/v1/channels/{login}/events"),
        ("post", f"{one}/reports"),
        ("get", "/api/v1/channels/{login}/song-tokens"),
        ("post", "/api/v1/channels/{login}/song-tokens"),
        ("delete", "/api/v1/channels/{login}/song-tokens/{id}"),
        # tests/integration/test_rights.py
        ("delete", "/api/v1/channels/{login}"),
        # tests/integration/test_play_corrections.py
        *((method, "/api/v1/channels/{login}/songs/{play}") for method in ("patch", "delete")),
        ("get", "/api/v1/channels/{login}/corrections"),
        ("delete", "/api/v1/channels/{login}/corrections/{correction}"),
        *((method, "/api/v1/channels/{login}/visibility") for method in ("get", "put")),
        # tests/integration/test_finds.py
        *((method, "/api/v1/me/finds") for method in ("get", "delete")),
        ("put", "/api/v1/me/finds/{id}"),
        # tests/integration/test_watches.py
        ("get", "/api/v1/channels/{login}/watch"),
        ("put", "/api/v1/channels/{login}/watch"),
        ("delete", "/api/v1/channels/{login}/watch"),
        ("get", "/api/v1/watches"),
        # tests/integration/test_video_set_lists.py
        *((method, "/api/v1/videos/{id}/set-list") for method in ("get", "post", "delete")),
        ("get", "/api/v1/videos/{id}/set-list.{ending}"),
        # tests/integration/test_artwork.py
        ("get", "/api/v1/artwork/{name}"),
        # tests/integration/test_links.py
        ("get", "/api/v1/previews/{name}"),
        # tests/integration/test_webhooks.py
        ("get", "/api/v1/webhooks"),
        ("put", "/api/v1/webhooks"),
        ("get", "/api/v1/webhooks/{id}"),
        ("put", "/api/v1/webhooks/{id}"),
        ("delete", "/api/v1/webhooks/{id}"),
        ("post", "/api/v1/webhooks/{id}/test"),
    }
    assert works == operations - elsewhere - {("post", redeem)}


async def test_refusals_are_what_the_document_says(
    api: ClientSession, parts: FakePipeline, checker: Checker
) -> None:
    one = f"{ASK}/{{id}}"
    await checker.check(await api.get(f"{ASK}/unknown"), one)
    await checker.check(await api.get(f"{ASK}/unknown?x=1"), one)
    await checker.check(await api.get(f"{ASK}/unknown/events"), f"{one}/events")
    await checker.check(await api.get("/api/v1/clips/Unknown-Slug"), "/api/v1/clips/{slug}")
    await checker.check(await api.get("/api/v1/channels/a%20b/songs"), "/api/v1/channels/{login}/songs")
    await checker.check(await api.get("/api/v1/status?x=1"), "/api/v1/status")
    await checker.check(await api.get("/api/v1/me?x=1"), "/api/v1/me")
    await checker.check(await ask(api, {"channel": 5}), ASK)
    await checker.check(await ask(api, {"channel": "a" * 20_000}), ASK)
    parts.recognizers.missing = "Nothing can recognize music yet."
    await checker.check(await ask(api), ASK)


@pytest.mark.parametrize("code", ProblemCode)
async def test_a_failed_identification_is_what_the_document_says(
    api: ClientSession, parts: FakePipeline, checker: Checker, code: ProblemCode
) -> None:
    parts.resolver.error = (
        UpstreamError("gql", "It broke.", code=code)
        if code is ProblemCode.UPSTREAM_UNAVAILABLE
        else TwitchAudioError(code, "It did not work.")
    )
    body = await checker.check(await ask(api, STREAM, wait=30), ASK)
    assert body["problem"]["code"] == code


def test_the_checker_finds_what_is_wrong() -> None:
    document = openapi_document()
    good = {"allowed": True, "code": None, "detail": None}
    me: dict[str, Any] = {
        "login": None, "known_by": None, "admin": False, "missing_scopes": [], "streams": good, "clips": good
    }  # fmt: skip
    reference = {"$ref": "#/components/schemas/Me"}
    assert problems_of(me, reference, document) == []
    for bad in (
        me | {"login": 5},
        me | {"more": 1},
        {name: value for name, value in me.items() if name != "clips"},
        me | {"clips": good | {"allowed": 1}},
    ):
        assert problems_of(bad, reference, document) != []
