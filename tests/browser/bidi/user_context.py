"""A user context of Chromium: cookies and storage apart from all others, and what its pages complain of."""

import asyncio
import base64
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.tab import Tab

_EVENTS: Final = ("network.beforeRequestSent", "network.responseCompleted")
_FAILED_LOAD: Final = "Failed to load resource"


@dataclass(frozen=True, slots=True)
class Look:
    """How pages are shown: the window's size, CSS media features by name, and whether scripts run."""

    width: int = 1280
    height: int = 900
    media: Mapping[str, str] = field(default_factory=dict[str, str])
    scripting: bool = True


@dataclass(slots=True)
class UserContext:
    """Tabs that share cookies. `complaints` are errors, warnings, and requests to other servers than `address`."""

    browser: Browser
    id: str
    address: str
    look: Look
    refusals: bool = False
    """Whether the test makes the server refuse something: the browser then logs the status."""
    complaints: list[str] = field(default_factory=list[str])
    messages: list[str] = field(default_factory=list[str])
    """What the pages' scripts logged."""
    responses: dict[str, int] = field(default_factory=dict[str, int])
    """The bytes of each response's head, by address."""
    _tabs: set[str] = field(default_factory=set[str])
    _sessions: dict[str, str] = field(default_factory=dict[str, str])
    """The session of Chromium's own protocol, by tab."""
    _changed: bool = False
    _answers: set[asyncio.Task[Any]] = field(default_factory=set[asyncio.Task[Any]])
    _ends: list[Callable[[], None]] = field(default_factory=list[Callable[[], None]])

    async def open(self, path: str = "/") -> Tab:
        """A new tab in front with a page of the server; closed with the context."""
        command = self.browser.connection.command
        created = await command("browsingContext.create", type="tab", userContext=self.id)
        tab = Tab(self.browser.connection, created["context"], self.look.scripting)
        self._tabs.add(tab.id)
        session: str = (await command("goog:cdp.getSession", context=tab.id))["session"]
        self._sessions[tab.id] = session
        await command("goog:cdp.sendCommand", method="Log.enable", params={}, session=session)
        features = [{"name": name, "value": value} for name, value in self.look.media.items()]
        await command(
            "goog:cdp.sendCommand",
            method="Emulation.setEmulatedMedia",
            params={"features": features},
            session=session,
        )
        await tab.viewport(self.look.width, self.look.height)
        await tab.activate()
        await self.go(tab, path)
        return tab

    async def empty(self, tab: Tab) -> None:
        """Leave the page, and close the other tabs: what pages complain of has been noted then."""
        for other in self._tabs - {tab.id}:
            await Tab(self.browser.connection, other).close()
            self._tabs.discard(other)
            del self._sessions[other]
        await tab.navigate("about:blank")

    async def forget(self, tab: Tab) -> bool:
        """Make it as new, with one empty tab; false where that cannot be: a test changed what pages cannot."""
        if self._changed:
            return False
        command = self.browser.connection.command
        await command("storage.deleteCookies", partition={"type": "storageKey", "userContext": self.id})
        for method, parameters in (
            ("Storage.clearDataForOrigin", {"origin": self.address, "storageTypes": "all"}),
            ("Network.clearBrowserCache", {}),
        ):
            await command("goog:cdp.sendCommand", method=method, params=parameters, session=self._sessions[tab.id])
        self.refusals = False
        for noted in (self.complaints, self.messages, self.responses):
            noted.clear()
        return True

    async def go(self, tab: Tab, path: str) -> None:
        """Load a page of the server."""
        await tab.navigate(self.address + path)

    async def cookies(self) -> list[dict[str, Any]]:
        """The cookies that the context keeps, in BiDi's form."""
        where = {"type": "storageKey", "userContext": self.id}
        return (await self.browser.connection.command("storage.getCookies", partition=where))["cookies"]

    async def allow(self, *permissions: str) -> None:
        """Grant permissions such as `clipboard-read` to the server's pages."""
        self._changed = True
        for name in permissions:
            await self.browser.connection.command(
                "permissions.setPermission",
                descriptor={"name": name},
                state="granted",
                origin=self.address,
                userContext=self.id,
            )

    async def set_offline(self, tab: Tab, *, offline: bool) -> None:
        """Take the network away from a tab, or give it back."""
        self._changed = True
        conditions = {"type": "offline"} if offline else None
        await self.browser.connection.command(
            "emulation.setNetworkConditions", networkConditions=conditions, contexts=[tab.id]
        )

    async def set_time_zone(self, tab: Tab, zone: str) -> None:
        """Put a tab's clock into a zone of IANA's."""
        self._changed = True
        await self.browser.connection.command("emulation.setTimezoneOverride", timezone=zone, contexts=[tab.id])

    async def answer_instead(self, tab: Tab, ending: str, status: int) -> None:
        """Answer a tab's requests to paths with an ending in the server's place, with a status and `no`."""
        self._changed = True
        command = self.browser.connection.command
        await command("network.addIntercept", phases=["beforeRequestSent"], contexts=[tab.id])

        def requested(event: dict[str, Any]) -> None:
            if event.get("context") != tab.id or not event.get("isBlocked"):
                return
            request: str = event["request"]["request"]
            if event["request"]["url"].endswith(ending):
                body = {"type": "base64", "value": base64.b64encode(b"no").decode()}
                answer = command("network.provideResponse", request=request, statusCode=status, body=body)
            else:
                answer = command("network.continueRequest", request=request)
            task = asyncio.create_task(answer)
            self._answers.add(task)
            task.add_done_callback(self._answers.discard)

        self._ends.append(self.browser.connection.listen("network.beforeRequestSent", requested))

    def close(self) -> None:
        """Stop answering in the server's place."""
        for end in self._ends:
            end()
        for answer in self._answers:
            answer.cancel()

    def requested(self, event: dict[str, Any]) -> None:
        """Note a request to another server."""
        url: str = event["request"]["url"]
        if event.get("context") in self._tabs and not url.startswith((self.address, "data:")):
            self.complaints.append(f"request to {url}")

    def completed(self, event: dict[str, Any]) -> None:
        """Note the size of a response's head."""
        if event.get("context") in self._tabs:
            self.responses[event["request"]["url"]] = event["response"]["headersSize"]

    def logged(self, entry: dict[str, Any]) -> None:
        """Note what scripts logged, and their uncaught errors."""
        if entry["source"].get("context") not in self._tabs:
            return
        text = entry.get("text") or ""
        if entry["type"] == "console":
            self.messages.append(text)
        if entry["level"] in ("error", "warn"):
            self.complaints.append(f"{entry['type']} {entry['level']}: {text}")

    def noted(self, event: dict[str, Any]) -> None:
        """Note what the browser itself logs about a page: a policy that is violated, a load that failed."""
        entry: dict[str, Any] = event["params"]["entry"]
        if event["session"] not in self._sessions.values() or entry["level"] not in ("error", "warning"):
            return
        if not (self.refusals and entry["text"].startswith(_FAILED_LOAD)):
            self.complaints.append(f"browser {entry['level']}: {entry['text']}")


@asynccontextmanager
async def user_context(browser: Browser, address: str, look: Look | None = None) -> AsyncGenerator[UserContext]:
    """A context for pages of the server at `address`, in English and UTC; its tabs are closed at the end."""
    connection, look = browser.connection, look or Look()
    async with AsyncExitStack() as stack:
        name: str = (await connection.command("browser.createUserContext"))["userContext"]
        stack.push_async_callback(connection.command, "browser.removeUserContext", userContext=name)
        context = UserContext(browser, name, address.rstrip("/"), look)
        stack.callback(context.close)
        await connection.command("emulation.setTimezoneOverride", timezone="UTC", userContexts=[name])
        await connection.command("emulation.setLocaleOverride", locale="en-US", userContexts=[name])
        if not look.scripting:
            await connection.command("emulation.setScriptingEnabled", enabled=False, userContexts=[name])
        answer = await connection.command("session.subscribe", events=list(_EVENTS), userContexts=[name])
        stack.push_async_callback(
            connection.command, "session.unsubscribe", subscriptions=[answer["subscription"]]
        )
        answer = await connection.command("session.subscribe", events=["goog:cdp.Log.entryAdded"])
        stack.push_async_callback(
            connection.command, "session.unsubscribe", subscriptions=[answer["subscription"]]
        )
        for event, listener in (
            ("network.beforeRequestSent", context.requested),
            ("network.responseCompleted", context.completed),
            ("log.entryAdded", context.logged),
            ("goog:cdp.Log.entryAdded", context.noted),
        ):
            stack.callback(connection.listen(event, listener))
        yield context
