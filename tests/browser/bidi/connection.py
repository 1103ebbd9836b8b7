"""One WebDriver BiDi connection: commands with their answers, and events, over aiohttp's own WebSocket."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType

Json = dict[str, Any]
OnEvent = Callable[[Json], None]

COMMAND_SECONDS: Final = 180.0


class BidiError(Exception):
    """The browser refused a command, or is gone. `code` is BiDi's own, such as `no such frame`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Connection:
    """Commands may be sent side by side. Events go to their listeners, in order."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._listeners: dict[str, list[OnEvent]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, session: ClientSession, address: str) -> "Connection":
        """Connect to a WebSocket address. Raises aiohttp.ClientError."""
        return cls(await session.ws_connect(address, max_msg_size=0, heartbeat=None))

    async def command(self, method: str, /, **parameters: Any) -> Json:
        """Send a command and wait for its result. Raises BidiError, TimeoutError after three minutes."""
        number = next(self._numbers)
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            await self._socket.send_str(json.dumps({"id": number, "method": method, "params": parameters}))
            async with asyncio.timeout(COMMAND_SECONDS):
                return await answer
        except (ConnectionError, RuntimeError) as error:
            raise BidiError("gone", f"{method}: the connection is closed") from error
        except TimeoutError as error:
            raise TimeoutError(f"{method} was not answered within {COMMAND_SECONDS:.0f} s") from error
        finally:
            self._waiting.pop(number, None)

    def listen(self, event: str, listener: OnEvent) -> Callable[[], None]:
        """Call a function for each event of a name from now on; the result ends that."""
        listeners = self._listeners.setdefault(event, [])
        listeners.append(listener)
        return lambda: listeners.remove(listener)

    async def close(self) -> None:
        """Close the connection; commands that wait end with BidiError."""
        await self._socket.close()
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if message.type is WSMsgType.TEXT:
                    self._take(json.loads(message.data))
        finally:
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(BidiError("gone", "the browser closed the connection"))

    def _take(self, message: Json) -> None:
        if message.get("type") == "event":
            for listener in list(self._listeners.get(message["method"], ())):
                listener(message["params"])
            return
        answer = self._waiting.get(message.get("id") or 0)
        if answer is None or answer.done():
            return
        if message.get("type") == "error":
            answer.set_exception(BidiError(message["error"], message.get("message", "")))
        else:
            answer.set_result(message.get("result", {}))
