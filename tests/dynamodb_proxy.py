"""A proxy before DynamoDB that counts calls and breaks those that a test chooses."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from enum import Enum, auto
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout, web

_DROPPED: Final = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class Break(Enum):
    """What happens to a call."""

    THROTTLE = auto()
    FAIL = auto()
    """Answered with 500, not done."""
    DENY = auto()
    """Refused by the policy of the caller's role, not done."""
    EXPIRE = auto()
    """Refused because the caller's credentials have expired, not done."""
    STALL = auto()
    """Never answered, not done."""
    DROP = auto()
    """The connection closes, not done."""
    LOSE = auto()
    """Done, but the connection closes instead of an answer."""


Rule = Callable[[str, dict[str, Any]], Break | None]
"""Of an operation such as `UpdateItem` and its parameters: what happens to it, or None."""


def nothing(_operation: str, _parameters: dict[str, Any]) -> Break | None:
    """Break nothing."""
    return None


class DynamoDbProxy:
    """Stands before an emulator; see `standing_before`."""

    def __init__(self, upstream: str, session: ClientSession) -> None:
        self._upstream = upstream
        self._session = session
        self.rule: Rule = nothing
        self.calls: Counter[str] = Counter()
        self.endpoint = ""

    def break_next(self, kind: Break, operation: str, *, times: int = 1, where: str = "") -> None:
        """Break the next calls of an operation whose parameters contain a text."""
        left = times

        def rule(name: str, parameters: dict[str, Any]) -> Break | None:
            nonlocal left
            if name != operation or where not in json.dumps(parameters) or left <= 0:
                return None
            left -= 1
            return kind

        self.rule = rule

    def break_all(self, kind: Break) -> None:
        """Break every call from now on."""
        self.rule = lambda _operation, _parameters: kind

    def mend(self) -> None:
        """Break nothing any more."""
        self.rule = nothing

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        body = await request.read()
        operation = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        self.calls[operation] += 1
        match self.rule(operation, json.loads(body)):
            case Break.THROTTLE:
                error = {"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "Slow down."}
                return web.json_response(error, status=400, content_type="application/x-amz-json-1.0")
            case Break.FAIL:
                error = {"__type": "com.amazonaws.dynamodb.v20120810#InternalServerError", "message": "Oh."}
                return web.json_response(error, status=500, content_type="application/x-amz-json-1.0")
            case Break.DENY:
                error = {"__type": "com.amazon.coral.service#AccessDeniedException", "message": "Not authorized."}
                return web.json_response(error, status=400, content_type="application/x-amz-json-1.0")
            case Break.EXPIRE:
                error = {"__type": "com.amazon.coral.service#ExpiredTokenException", "message": "Expired."}
                return web.json_response(error, status=400, content_type="application/x-amz-json-1.0")
            case Break.STALL:
                await asyncio.sleep(60)
                raise ConnectionResetError
            case Break.DROP:
                self._hang_up(request)
            case Break.LOSE:
                await self._forward(request, body)
                self._hang_up(request)
            case None:
                pass
        return await self._forward(request, body)

    def _hang_up(self, request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()
        raise ConnectionResetError

    async def _forward(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _DROPPED}
        async with self._session.post(self._upstream, data=body, headers=headers) as response:
            answer = await response.read()
            kept = {name: value for name, value in response.headers.items() if name.lower().startswith("x-amz")}
            return web.Response(
                body=answer, status=response.status, headers=kept, content_type="application/x-amz-json-1.0"
            )


@asynccontextmanager
async def standing_before(upstream: str) -> AsyncGenerator[DynamoDbProxy]:
    """A proxy on a port of its own."""
    async with ClientSession(timeout=ClientTimeout(total=30)) as session:
        proxy = DynamoDbProxy(upstream, session)
        app = web.Application(client_max_size=1 << 22)
        app.router.add_post("/", proxy.handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            proxy.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield proxy
        finally:
            with contextlib.suppress(asyncio.CancelledError):
                await runner.cleanup()
