"""The health check of docker-compose.yml, run against a server."""

import asyncio
from pathlib import Path

import yaml
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"


async def test_the_health_check_of_the_containers_tells_a_ready_server(aiohttp_server: AiohttpServer) -> None:
    status = 200

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    app = web.Application()
    app.router.add_get("/readyz", readyz)
    server = await aiohttp_server(app)
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    command = [*services["server"]["healthcheck"]["test"][1:]]
    command[-1] = command[-1].replace("$$", "$").replace("/8080", f"/{server.make_url('/').port}")
    for status, expected in ((200, 0), (503, 1)):  # noqa: B007 - the handler reads it
        process = await asyncio.create_subprocess_exec(*command)
        assert await process.wait() == expected
