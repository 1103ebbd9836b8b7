"""Every route for everybody: who may do what stands in a table, and a route without a row there fails the test."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_network
from itertools import count
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientResponse, ClientSession
from yarl import URL

from fingerprint.clock import SystemClock
from fingerprint.domain.problems import PROBLEM_KINDS, ProblemCode
from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.settings import read_settings
from fingerprint.upstream_settings import TwitchSettings
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.broadcasters import BroadcasterStore
from server.access.rules.list_store import ListStore
from server.access.rules.store import RulesStore
from server.access.rules.subscriptions import SCOPE
from server.access.scopes import DEFAULT_SCOPES
from server.app import listening, make_app
from server.keys import DATABASE
from server.settings import ServerSettings
from simulator.accounts import FOREIGN_APPLICATION, Accounts, Person
from tests.api_client import ASK, CLIP
from tests.browser_client import PAGE, browsing, known_to_twitch
from tests.fakes import FakePipeline
from tests.integration.simulator_client import LIVE, VIDEO, Viewer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VIC, SUE, GUEST, OPERATOR, BOB = "viewer_vic", "subscriber_sue", "asleep", "picture", "blocked_bob"

CALLERS: Final = (
    *("nobody", "user", "forged", "cookie", "subscriber"),
    *("guest", "owner", "key", "clips-key", "watch-key"),
    *("revoked", "foreign", "blocked", "operator", "op-token"),
)
"""The columns of the table, from the left.

Somebody signed in: by token, by cookie without the page's CSRF token, and by cookie. A subscriber, somebody on the
whitelist, the channel's owner. API keys with the usual scopes, for clips only, for watching only, and revoked. A
token of another application, a user on the blacklist, an operator by cookie and by token.
"""

CODES: Final = {
    "L": ProblemCode.LOGIN_REQUIRED,
    "S": ProblemCode.SUBSCRIPTION_REQUIRED,
    "F": ProblemCode.FORBIDDEN,
    "C": ProblemCode.CSRF,
    "K": ProblemCode.KEY_INVALID,
    "W": ProblemCode.TOKEN_WRONG_CLIENT,
    "B": ProblemCode.BLACKLISTED,
}
"""What a cell says. A dot: not refused, the status is one of the row's."""

TABLE: Final = """
POST   /api/v1/identifications                   202     L S C S . . . . F F K W B S S
GET    /api/v1/identifications/{id}              200     . . . . . . . . . . . . . . .
GET    /api/v1/identifications/{id}/events       200     . . . . . . . . . . . . . . .
POST   /api/v1/identifications/{id}/reports      204     L S C S . . . . . F K W B S S
GET    /api/v1/songs/{id}                        404     . . . . . . . . . . . . . . .
GET    /api/v1/artwork/{name}                    404     . . . . . . . . . . . . . . .
GET    /api/v1/previews/{name}                   404     . . . . . . . . . . . . . . .
GET    /api/v1/clips/{slug}                      200     L S S S . . . . . F K W B S S
DELETE /api/v1/channels/{login}                  204     L F C F F F . L L L K W F . .
GET    /api/v1/channels/{login}/songs            200     . . . . . . . . . . . . . . .
PATCH  /api/v1/channels/{login}/songs/{play}     400     L F C F F F . L L L K W B . .
DELETE /api/v1/channels/{login}/songs/{play}     404     L F C F F F . L L L K W B . .
GET    /api/v1/channels/{login}/corrections      200     L F F F F F . L L L K W B . .
DELETE /api/v1/channels/{login}/corrections/{correction} 404 L F C F F F . L L L K W B . .
GET    /api/v1/channels/{login}/visibility       200     . . . . . . . . . . . . . . .
PUT    /api/v1/channels/{login}/visibility       400     L F C F F F . L L L K W B . .
GET    /api/v1/channels/{login}/events           200     . . . . . . . . . . . . . . .
GET    /api/v1/channels/{login}/song.txt         200     . . . . . . . . . . . . . . .
GET    /api/v1/channels/{login}/song-tokens      200     L F F F F F . L L L K W B F F
POST   /api/v1/channels/{login}/song-tokens      201     L F C F F F . L L L K W B F F
DELETE /api/v1/channels/{login}/song-tokens/{id} 404     L F C F F F . L L L K W B F F
PUT    /api/v1/channels/{login}/watch            200|201 L F C F F F . F F . K W B . .
GET    /api/v1/channels/{login}/watch            200     . . . . . . . . . . . . . . .
GET    /api/v1/watches                           200     L F F F F F F F F . K W B . .
DELETE /api/v1/channels/{login}/watch            204|404 L F C F F F . F F . K W B . .
POST   /api/v1/videos/{id}/set-list              503     L F C F F F . F F . K W B . .
GET    /api/v1/videos/{id}/set-list              404     . . . . . . . . . . . . . . .
DELETE /api/v1/videos/{id}/set-list              404     L F C F F F . F F . K W B . .
GET    /api/v1/videos/{id}/set-list.{ending}     404     . . . . . . . . . . . . . . .
GET    /api/v1/webhooks                          200     L F F F F F F F F F K W B . .
PUT    /api/v1/webhooks                          400     L F C F F F F F F F K W B . .
GET    /api/v1/webhooks/{id}                     404     L F F F F F F F F F K W B . .
PUT    /api/v1/webhooks/{id}                     400     L F C F F F F F F F K W B . .
DELETE /api/v1/webhooks/{id}                     404     L F C F F F F F F F K W B . .
POST   /api/v1/webhooks/{id}/test                404     L F C F F F F F F F K W B . .
GET    /api/v1/status                            200     . . . . . . . . . . . . . . .
GET    /api/v1/me                                200     . . . . . . . . . . K W . . .
GET    /api/v1/me/finds                          200     L . . . . . . L L L K W . . .
DELETE /api/v1/me/finds                          204     L . C . . . . L L L K W . . .
PUT    /api/v1/me/finds/{id}                     204     L . C . . . . L L L K W B . .
POST   /api/v1/access-codes/redeem               422     L . C . . . . L L L K W B . .
GET    /api/v1/openapi.json                      200     . . . . . . . . . . . . . . .
GET    /healthz                                  200     . . . . . . . . . . . . . . .
GET    /readyz                                   200     . . . . . . . . . . . . . . .
GET    /metrics                                  200     F F F F F F F F F F F F F . F
GET    /                                         200     . . . . . . . . . . . . . . .
POST   /                                         303     L S C S . . . . F F K W B S S
GET    /docs                                     200     . . . . . . . . . . . . . . .
POST   /redeem                                   422     L . C . . . . L L L K W B . .
POST   /reports                                  303     L S C S . . . . . F K W B S S
GET    /channels/{login}                         200     . . . . . . . . . . . . . . .
GET    /channels/{login}/songs.{kind}            200     . . . . . . . . . . . . . . .
POST   /channels/{login}/song-tokens             200     F F C F F F . F F F K W F F F
POST   /channels/{login}/song-tokens/revoke      404     F F C F F F . F F F K W F F F
GET    /songs/{id}                               404     . . . . . . . . . . . . . . .
GET    /privacy                                  200     . . . . . . . . . . . . . . .
GET    /extension                                200     . . . . . . . . . . . . . . .
GET    /extension.zip                            200     . . . . . . . . . . . . . . .
GET    /finds                                    200     . . . . . . . . . . . . . . .
POST   /finds                                    303     L L C . L L L L L L K W L . L
GET    /overlay                                  200     . . . . . . . . . . . . . . .
GET    /videos/{id}                              200     . . . . . . . . . . . . . . .
POST   /videos/{id}                              503     L F C F F F . F F . K W B . .
POST   /channels/{login}/watch                   400     F F C F F F . F F F K W F F F
POST   /channels/{login}/plays                   400     L F C F F F . L L L K W F . .
POST   /channels/{login}/public                  400     L F C F F F . L L L K W F . .
POST   /channels/{login}/forget                  400     F F C F F F . F F F K W F . F
GET    /overlay/{login}                          200     . . . . . . . . . . . . . . .
GET    /c/{login}                                302     . . . . . . . . . . . . . . .
GET    /covers/{name}.svg                        200     . . . . . . . . . . . . . . .
GET    /cards/answers/{id}.png                   404     . . . . . . . . . . . . . . .
GET    /cards/channels/{login}.png               404     . . . . . . . . . . . . . . .
GET    /cards/songs/{id}.png                     404     . . . . . . . . . . . . . . .
GET    /cards/videos/{id}.png                    404     . . . . . . . . . . . . . . .
GET    /manifest.webmanifest                     200     . . . . . . . . . . . . . . .
GET    /robots.txt                               200     . . . . . . . . . . . . . . .
GET    /favicon.ico                              200     . . . . . . . . . . . . . . .
GET    /apple-touch-icon.png                     200     . . . . . . . . . . . . . . .
GET    /static/{version}/{name}                  404     . . . . . . . . . . . . . . .
GET    /login                                    302     . . . . . . . . . . . . . . .
GET    /login/callback                           403     . . . . . . . . . . . . . . .
GET    /logout                                   200     . . . . . . . . . . . . . . .
GET    /admin                                    200     L L F F L L L L L L L L L . L
GET    /admin/catalog                            200     L L F F L L L L L L L L L . L
POST   /admin/catalog                            400     L L C F L L L L L L L L L . L
GET    /admin/recognizers                        200     L L F F L L L L L L L L L . L
POST   /admin/recognizers                        400     L L C F L L L L L L L L L . L
GET    /admin/twitch                             200     L L F F L L L L L L L L L . L
GET    /admin/logs                               200     L L F F L L L L L L L L L . L
GET    /admin/settings                           200     L L F F L L L L L L L L L . L
POST   /admin/settings                           400     L L C F L L L L L L L L L . L
GET    /admin/{section}                          200     L L F F L L L L L L L L L . L
POST   /admin/{section}                          400     L L C F L L L L L L L L L . L
POST   /logout                                   303     . . C . . . . . . . . . . . .
"""


@dataclass(frozen=True, slots=True)
class Caller:
    """How somebody sends their requests."""

    client: ClientSession
    headers: Mapping[str, str]


@asynccontextmanager
async def everybody(address: URL, viewer: Viewer, keys: ApiKeyStore) -> AsyncGenerator[dict[str, Caller]]:
    """Those who stand at the head of the table."""
    accounts: Accounts = viewer.twitch.accounts
    accounts.people[BOB] = Person(user_id="72000009", login=BOB, display_name=BOB)

    async def key(*scopes: str) -> str:
        _, secret = await keys.create("a bot", now=NOW, scopes=scopes)
        return secret.reveal()

    gone, revoked = await keys.create("a bot", now=NOW)
    await keys.revoke(gone.id, NOW)
    tokens = {
        "user": accounts.token_for(VIC, SCOPE),
        "subscriber": accounts.token_for(SUE, SCOPE),
        "guest": accounts.token_for(GUEST, SCOPE),
        "owner": accounts.token_for(LIVE, SCOPE),
        "op-token": accounts.token_for(OPERATOR, SCOPE),
        "key": await key(*DEFAULT_SCOPES),
        "clips-key": await key("clips"),
        "watch-key": await key("watch"),
        "revoked": revoked.reveal(),
        "foreign": accounts.token_for(SUE, SCOPE, client_id=FOREIGN_APPLICATION.client_id),
        "blocked": accounts.token_for(BOB, SCOPE),
    }
    async with (
        ClientSession() as client,
        browsing(address, viewer) as vics,
        browsing(address, viewer) as operators,
    ):
        await vics.sign_in()
        accounts.sign_in(OPERATOR)
        await operators.sign_in()
        yield {
            "nobody": Caller(client, {}),
            **{who: Caller(client, {"Authorization": f"Bearer {token}"}) for who, token in tokens.items()},
            "cookie": Caller(vics.client, {"X-CSRF-Token": await vics.csrf()}),
            "forged": Caller(vics.client, {}),
            "operator": Caller(operators.client, {"X-CSRF-Token": await operators.csrf()}),
        }


@dataclass(frozen=True, slots=True)
class Stage:
    """A server in subscribers mode, and everybody at its door."""

    address: URL
    callers: Mapping[str, Caller]
    known: str
    """The id of an answer about CLIP."""
    routes: frozenset[str]
    numbers: "count[int]"

    async def document(self) -> Any:
        """The OpenAPI document."""
        nobody = self.callers["nobody"].client
        return await (await nobody.get(self.address.with_path("/api/v1/openapi.json"))).json()

    async def ask(self, route: str, who: str) -> ClientResponse:
        """The answer's head: some answers have no end."""
        method, path = route.split(" ")
        path = path.replace("/videos/{id}", f"/videos/{VIDEO}")
        for name, value in {
            "ending": "csv",
            "id": "unknown" if method == "DELETE" else self.known,
            "login": LIVE,
            "slug": CLIP["clip"],
            "section": "whitelist",
            "kind": "csv",
            "version": "x",
            "name": "x.js",
            "play": self.known,
            "correction": "unknown",
        }.items():
            path = path.replace(f"{{{name}}}", value)
        number = next(self.numbers)
        pages = {} if path.startswith("/api/") else PAGE
        body: dict[str, Any] = {}
        if method in ("POST", "PUT", "PATCH"):
            body = (
                {"json": body_of(route, number)}
                if path.startswith("/api")
                else {"data": FORM | {"id": self.known}}
            )
        # Each request from another address, so that none is refused for what was asked before.
        caller = self.callers[who]
        headers = {
            **caller.headers,
            **pages,
            "X-Forwarded-For": f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}",
        }
        return await caller.client.request(
            method, self.address.join(URL(path)), headers=headers, allow_redirects=False, **body
        )


FORM: Final = {"target": "somechannel", "reason": "other", "code": "none", "action": "none"}


def body_of(route: str, number: int) -> dict[str, Any]:
    return {
        f"POST {ASK}": {"channel": f"channel{number}"},
        f"POST {ASK}/{{id}}/reports": {"reason": "other"},
        "POST /api/v1/access-codes/redeem": {"code": "none"},
    }.get(route, {})


async def mode(client: ClientSession, address: URL) -> str:
    return (await (await client.get(address.with_path("/api/v1/status"))).json())["access_mode"]


@asynccontextmanager
async def staged(viewer: Viewer, folder: Path) -> AsyncGenerator[Stage]:
    settings = ServerSettings(
        pipeline=PipelineSettings(
            data_dir=folder, twitch=read_settings(TwitchSettings, viewer.twitch.environment())
        ),
        admins=(OPERATOR,),
        trusted_proxies=(ip_network("127.0.0.0/8"),),
        captures_at_once=100,
        queue=1_000,
        **known_to_twitch(viewer),
    )
    app = make_app(settings, pipeline=FakePipeline(SystemClock()).pipeline)
    async with listening(app, "127.0.0.1", 0) as address:
        database = app[DATABASE]
        user = viewer.twitch.accounts.people[LIVE]
        await BroadcasterStore(database).add(user.user_id, LIVE, note="", now=NOW)
        await ListStore(database).allow(GUEST, note="", now=NOW)
        await ListStore(database).block(BlacklistKind.USER, BOB, reason="", now=NOW)
        await RulesStore(database).set_website("access_mode", "subscribers")
        async with ClientSession() as client, asyncio.timeout(30):
            while await mode(client, address) != "subscribers":  # noqa: ASYNC110 - the server's own pace
                await asyncio.sleep(0.05)
        async with everybody(address, viewer, ApiKeyStore(database)) as callers:
            key = callers["key"]
            asked = await key.client.post(
                address.with_path(ASK), json=CLIP, headers={**key.headers, "Prefer": "wait=30"}
            )
            assert asked.status == 200, await asked.text()
            routes = {
                f"{route.method} {route.resource.canonical}"
                for route in app.router.routes()
                if route.resource is not None and route.method != "HEAD"
            }
            yield Stage(address, callers, (await asked.json())["id"], frozenset(routes), count())


def rows() -> dict[str, tuple[frozenset[int], dict[str, ProblemCode | None]]]:
    """By route: the statuses of those who are let through, and why each of the others is not."""
    found: dict[str, tuple[frozenset[int], dict[str, ProblemCode | None]]] = {}
    for line in TABLE.strip().splitlines():
        method, path, statuses, *cells = line.split()
        codes = [CODES.get(cell) for cell in cells]
        assert set(cells) <= {*CODES, "."}
        found[f"{method} {path}"] = (
            frozenset(int(status) for status in statuses.split("|")),
            dict(zip(CALLERS, codes, strict=True)),
        )
    return found


async def test_every_route_for_everybody(viewer: Viewer, tmp_path: Path) -> None:
    table = rows()
    async with staged(viewer, tmp_path) as stage:
        described = {
            f"{method.upper()} {path}"
            for path, operations in (await stage.document())["paths"].items()
            for method in operations
        }
        assert described <= set(stage.routes)
        assert set(table) == set(stage.routes), "each route has a row here"
        wrong: list[str] = []
        for route, (allowed, codes) in table.items():
            for who, code in codes.items():
                async with await stage.ask(route, who) as answer:
                    expected = allowed if code is None else {PROBLEM_KINDS[code].status}
                    found = None
                    if answer.content_type == "application/problem+json":
                        found = (await answer.json(content_type=None))["code"]
                    # A page says it in words.
                    named = code is None or not route.partition(" ")[2].startswith("/api/") or found == code
                    if answer.status not in expected or not named:
                        wrong.append(f"{route} as {who}: {answer.status} {found}, not {code or sorted(expected)}")
        assert wrong == []
