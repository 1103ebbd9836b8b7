"""What a blacklist entry covers, for every way in: a route without a row here fails the test."""

import io
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, FormData, web
from yarl import URL

from fingerprint.pipeline_settings import PipelineSettings
from fingerprint.ports import ChannelDirectory, Clock
from fingerprint.upstream_settings import TwitchSettings
from fingerprint.wiring import open_channel_directory
from server.access.identity.api_keys import ApiKeyStore
from server.access.rules.blacklist_kinds import BlacklistKind
from server.access.rules.list_store import ListStore
from server.access.scopes import WATCH
from server.access.service import RULES_SECONDS
from server.app import listening, make_app
from server.channels.song_tokens import SongTokenStore
from server.keys import DATABASE
from server.settings import ServerSettings
from tests.api_client import ASK, ask
from tests.browser_client import known_to_twitch
from tests.builders import NOON
from tests.fakes import AheadClock, FakePipeline
from tests.integration.simulator_client import CLIP, LIVE, VIDEO, Viewer

SAID: Final = "The operator has blocked this"
ADDRESS: Final = "198.51.100.7"
CHANNELS: Final = "/api/v1/channels/{login}"

TABLE: Final = f"""
POST   {ASK} channel                    user address channel
POST   {ASK} channel-url                user address channel
POST   {ASK} clip                       user address channel
POST   {ASK} clip-url                   user address channel
POST   {ASK} video                      user address channel
POST   {ASK} video-url                  user address channel
POST   {ASK} upload                     user address
GET    {ASK}/{{id}}                     channel
GET    {ASK}/{{id}}/events              channel
POST   {ASK}/{{id}}/reports             user address channel
GET    /api/v1/clips/{{slug}}           user address channel
DELETE {CHANNELS}                       -
GET    /api/v1/songs/{{id}}             -
GET    /api/v1/artwork/{{name}}         -
GET    /api/v1/previews/{{name}}       -
GET    {CHANNELS}/songs                 channel
GET    {CHANNELS}/events                channel
GET    {CHANNELS}/song.txt              user address channel
GET    {CHANNELS}/song.txt token        user address channel owner
PATCH  {CHANNELS}/songs/{{play}}        user address channel owner
DELETE {CHANNELS}/songs/{{play}}        user address owner
GET    {CHANNELS}/corrections           user address channel owner
DELETE {CHANNELS}/corrections/{{correction}} user address owner
GET    {CHANNELS}/visibility            channel
PUT    {CHANNELS}/visibility            user address channel owner
GET    {CHANNELS}/song-tokens           user address channel owner
POST   {CHANNELS}/song-tokens           user address channel owner
DELETE {CHANNELS}/song-tokens/{{id}}    user address owner
PUT    {CHANNELS}/watch                 address channel
GET    {CHANNELS}/watch                 channel
GET    /api/v1/watches                  address
DELETE {CHANNELS}/watch                 address
POST   /api/v1/videos/{{id}}/set-list   user address channel
GET    /api/v1/videos/{{id}}/set-list   channel
DELETE /api/v1/videos/{{id}}/set-list   user address
GET    /api/v1/videos/{{id}}/set-list.{{ending}} channel
GET    /api/v1/webhooks                 user address
PUT    /api/v1/webhooks                 user address
GET    /api/v1/webhooks/{{id}}          user address
PUT    /api/v1/webhooks/{{id}}          user address
DELETE /api/v1/webhooks/{{id}}          user address
POST   /api/v1/webhooks/{{id}}/test     user address
GET    /api/v1/status                   -
GET    /api/v1/me                       -
GET    /api/v1/me/finds                 -
DELETE /api/v1/me/finds                 -
PUT    /api/v1/me/finds/{{id}}          user address channel
POST   /api/v1/access-codes/redeem      user address
GET    /api/v1/openapi.json             -
GET    /healthz                         -
GET    /readyz                          -
GET    /metrics                         -
GET    /                                -
GET    / answer                         channel
POST   /                                user address channel
GET    /docs                            -
POST   /redeem                          user address
POST   /reports                         user address channel
GET    /channels/{{login}}              channel
GET    /channels/{{login}}/songs.{{kind}} channel
POST   /channels/{{login}}/song-tokens  user address channel owner
POST   /channels/{{login}}/song-tokens/revoke user address channel owner
POST   /channels/{{login}}/watch        user address channel owner
POST   /channels/{{login}}/plays        user address channel owner
POST   /channels/{{login}}/public       user address channel owner
POST   /channels/{{login}}/forget       channel
GET    /songs/{{id}}                    -
GET    /privacy                         -
GET    /extension                       -
GET    /extension.zip                   -
GET    /finds                           -
POST   /finds                           -
GET    /overlay                         -
GET    /c/{{login}}                     channel
GET    /apple-touch-icon.png            -
GET    /robots.txt                      -
GET    /favicon.ico                     -
GET    /manifest.webmanifest            -
GET    /covers/{{name}}.svg               -
GET    /cards/answers/{{id}}.png        channel
GET    /cards/channels/{{login}}.png    channel
GET    /cards/songs/{{id}}.png          -
GET    /cards/videos/{{id}}.png         channel
GET    /videos/{{id}}                   channel
POST   /videos/{{id}}                   user address channel
GET    /overlay/{{login}}               channel
GET    /static/{{version}}/{{name}}     -
GET    /login                           -
GET    /login/callback                  -
GET    /logout                          -
GET    /admin                           -
GET    /admin/catalog                   -
POST   /admin/catalog                   -
GET    /admin/recognizers               -
POST   /admin/recognizers               -
GET    /admin/twitch                    -
GET    /admin/logs                      -
GET    /admin/settings                  -
POST   /admin/settings                  -
GET    /admin/{{section}}               -
POST   /admin/{{section}}               -
POST   /logout                          -
"""
"""Ways in, and which entries refuse them: the sender, the address, the channel, or its owner, who made a token."""

BODIES: Final[dict[str, dict[str, Any]]] = {
    f"{ASK} channel": {"json": {"channel": LIVE}},
    f"{ASK} channel-url": {"json": {"url": f"https://m.twitch.tv/{LIVE.upper()}"}},
    f"{ASK} clip": {"json": {"clip": CLIP}},
    f"{ASK} clip-url": {"json": {"url": f"https://www.twitch.tv/innocent/clip/{CLIP}"}},
    f"{ASK} video": {"json": {"video": VIDEO, "at": 3}},
    f"{ASK} video-url": {"json": {"url": f"https://www.twitch.tv/videos/{VIDEO}?t=1m"}},
    f"{ASK}/{{id}}/reports": {"json": {"reason": "other"}},
    "/": {"data": {"target": f"https://www.twitch.tv/videos/{VIDEO}"}},
    "/reports": {"data": {"reason": "other"}},
    "/redeem": {"data": {"code": "none"}},
    "/api/v1/access-codes/redeem": {"json": {"code": "none"}},
}


class Stage:
    """A server with something stored of a channel, and requests of all kinds to it."""

    def __init__(self, api: ClientSession, lists: ListStore, routes: frozenset[str], clock: AheadClock) -> None:
        self.api = api
        self.clock = clock
        self.lists = lists
        self.routes = routes
        self.headers: dict[str, dict[str, str]] = {}
        self.ids: dict[str, str] = {}
        self.token = ""

    async def refused(self, way: str) -> bool:
        """Whether a way in says that something is blacklisted."""
        method, path, *how = way.split()
        what = " ".join((path, *how))
        owners = is_owners(way)
        watches = path.endswith(("/watch", "/watches"))
        headers = {"X-Forwarded-For": ADDRESS, **self.headers["owner" if owners else "key" if watches else "user"]}
        body: dict[str, Any] = dict(BODIES.get(what, {}))
        if path == "/reports":
            body["data"] = {**body["data"], "id": self.ids["channel"]}
        elif path.startswith("/api/v1") and method in ("POST", "PUT", "PATCH") and not body:
            body["json"] = {}
        address = path.format(
            login=LIVE,
            id=VIDEO if "/videos/" in path else self.ids["channel"],
            slug=CLIP,
            kind="csv",
            ending="csv",
            version="x",
            name="y",
            section="keys",
            play=self.ids["channel"],
            correction="unknown",
        )
        if how == ["upload"]:
            body = {"data": FormData({"file": io.BytesIO(b"")})}
        if how == ["answer"]:
            address += f"?id={self.ids['channel']}"
        if how == ["token"]:
            address += f"?token={self.token}"
        if not path.startswith("/api/"):
            headers["Accept"] = "text/html"
        async with self.api.request(method, address, headers=headers, allow_redirects=False, **body) as answer:
            if path.endswith("/events"):
                return answer.status == 403
            text = await answer.text(errors="replace")
        if path.endswith("song.txt"):
            return SAID in text
        return answer.status == 403 and SAID in text

    async def refusing(self, kind: BlacklistKind, value: str) -> set[str]:
        """All ways in that are refused while something is listed."""
        await self.lists.block(kind, value, reason="", now=NOON)
        self.clock.ahead += RULES_SECONDS
        try:
            return {way for way in ways() if await self.refused(way)}
        finally:
            await self.lists.unblock(kind, value)


def is_owners(way: str) -> bool:
    """Whether a way in is the channel's owner's, who tries it here."""
    parts = ("song-tokens", "POST /channels/{login}/watch", "{play}", "/plays", "/corrections", "/public")
    return any(part in way for part in (*parts, "PUT /api/v1/channels/{login}/visibility"))


def ways() -> dict[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for line in TABLE.strip().splitlines():
        words = line.split()
        entries = frozenset(word for word in words[2:] if word in ("user", "address", "channel", "owner", "-"))
        how = [word for word in words[2:3] if word not in entries or words[1] == ASK]
        found[" ".join((*words[:2], *how))] = entries - {"-"} if not how else frozenset(words[3:]) - {"-"}
    return found


@asynccontextmanager
async def running(
    settings: ServerSettings, directory: ChannelDirectory, clock: Clock
) -> AsyncGenerator[tuple[web.Application, ClientSession]]:
    app = make_app(settings, pipeline=FakePipeline(clock).pipeline, directory=directory, clock=clock)
    async with listening(app, "127.0.0.1", 0) as url, ClientSession(base_url=url) as api:
        yield app, api


@asynccontextmanager
async def staged(viewer: Viewer, folder: Path, clock: AheadClock) -> AsyncGenerator[Stage]:
    settings = ServerSettings(
        pipeline=PipelineSettings(data_dir=folder, twitch=TwitchSettings(gql_url=URL(viewer.twitch.gql_url))),
        trusted_proxies=(ip_network("127.0.0.0/8"),),
        jobs_per_address=0,
        **known_to_twitch(viewer),
    )
    async with (
        open_channel_directory(settings.pipeline) as directory,
        running(settings, directory, clock) as (app, api),
    ):
        routes = frozenset(
            f"{route.method} {route.resource.canonical}"
            for route in app.router.routes()
            if route.resource is not None and route.method != "HEAD"
        )
        stage = Stage(api, ListStore(app[DATABASE]), routes, clock)
        for name, body in (("channel", {"channel": LIVE}), ("clip", {"clip": CLIP})):
            stage.ids[name] = (await (await ask(api, body, wait=30)).json())["id"]
        accounts = viewer.twitch.accounts
        for name, login in (("user", "viewer_vic"), ("owner", LIVE)):
            stage.headers[name] = {"Authorization": f"Bearer {accounts.token_for(login)}"}
        _, key = await ApiKeyStore(app[DATABASE]).create("a bot", now=NOON, scopes=(WATCH,))
        stage.headers["key"] = {"X-API-Key": key.reveal()}
        owner = accounts.people[LIVE].user_id
        _, token = await SongTokenStore(app[DATABASE]).create(
            LIVE, now=NOON, made_by=f"user:{owner}", channel_id=owner
        )
        stage.token = token.reveal()
        yield stage


async def test_an_entry_covers_every_way_in(viewer: Viewer, tmp_path: Path, clock: AheadClock) -> None:
    async with staged(viewer, tmp_path, clock) as stage:
        table = ways()
        assert {" ".join(way.split()[:2]) for way in table} == set(stage.routes), "each route has a row here"
        number = viewer.twitch.accounts.people[LIVE].user_id
        wrong: list[str] = []
        for kind, value, column in (
            (BlacklistKind.USER, "viewer_vic", "user"),
            (BlacklistKind.ADDRESS, "198.51.100.0/24", "address"),
            (BlacklistKind.CHANNEL, LIVE, "channel"),
            (BlacklistKind.CHANNEL, f"id:{number}", "channel"),
            (BlacklistKind.CHANNEL_PATTERN, f"{LIVE[:-2]}*", "channel"),
            (BlacklistKind.USER, f"id:{number}", "owner"),
        ):
            expected = {way for way, entries in table.items() if column in entries}
            if column == "user":
                # Their rows of the channel's owner are in the column of the owner.
                expected = {way for way in expected if not is_owners(way)}
            found = await stage.refusing(kind, value)
            wrong += [f"{kind} {value}: {way} is not refused" for way in sorted(expected - found)]
            wrong += [f"{kind} {value}: {way} is refused" for way in sorted(found - expected)]
        assert not wrong, "\n".join(wrong)
