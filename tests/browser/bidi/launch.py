"""Starts Debian's Chromium (through chromedriver) and Firefox (directly), headless, on loopback only."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientSession, ClientTimeout

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.connection import Connection

START_SECONDS: Final = 240.0
BROWSERS: Final = ("chromium", "firefox")

_NEEDED: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "chromium": {"chromium": ("chromium", "chromium-browser"), "chromium-driver": ("chromedriver",)},
    "firefox": {"firefox-esr": ("firefox-esr", "firefox")},
}


@dataclass(frozen=True, slots=True)
class Loopback:
    """Names that lead to one HTTPS port of this machine; every other name leads nowhere.

    `authority` is a PEM file that the browser trusts; it takes `certutil` (Debian: libnss3-tools).
    """

    names: tuple[str, ...] = ()
    port: int = 0
    authority: Path | None = None


@dataclass(frozen=True, slots=True)
class Launch:
    """How to start a browser. `folder` takes its profile; `preferences` are Firefox's.

    `language` is that of its own words, such as "de", which extensions follow; it takes a package of Debian.
    """

    folder: Path
    loopback: Loopback = field(default_factory=Loopback)
    preferences: Mapping[str, bool | int | str] = field(default_factory=dict[str, bool | int | str])
    language: str = "en"


def missing_language(name: str, language: str) -> str | None:
    """Which Debian package a browser lacks to speak a language; None when it is there."""
    if name == "chromium":
        packs = Path("/usr/lib/chromium/locales").glob(f"{language}*.pak")
        return None if any(packs) else "chromium-l10n"
    regions = {"es": "es-es"}
    wanted = regions.get(language, language)
    packs = Path("/usr/lib/firefox-esr").glob(f"**/langpack-{language}*@firefox-esr.mozilla.org.xpi")
    return None if language == "en" or any(packs) else f"firefox-esr-l10n-{wanted}"


def missing(name: str, *, authority: bool = False) -> str | None:
    """Which Debian package a browser lacks here; None when all is there."""
    for package, programs in _NEEDED[name].items():
        if not any(shutil.which(program) for program in programs):
            return package
    return "libnss3-tools" if authority and shutil.which("certutil") is None else None


@asynccontextmanager
async def launched(name: str, launch: Launch) -> AsyncGenerator[Browser]:
    """Run a browser for as long as the block runs. Raises RuntimeError when it does not start in four minutes."""
    start = {"chromium": _chromium, "firefox": _firefox}[name]
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(ClientSession(timeout=ClientTimeout(total=START_SECONDS)))
        browser = await start(launch, session, stack)
        await browser.start()
        yield browser


async def _chromium(launch: Launch, session: ClientSession, stack: AsyncExitStack) -> Browser:
    loopback = launch.loopback
    home = launch.folder / "home"
    home.mkdir(parents=True)
    if loopback.authority is not None:
        database = home / ".pki" / "nssdb"
        database.mkdir(parents=True)
        await _trust(database, loopback.authority)
    rules = [f"MAP {name}:443 127.0.0.1:{loopback.port}" for name in loopback.names]
    rules += ["MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1", "EXCLUDE localhost"]
    port = await _started(
        ["chromedriver", "--port=0"],
        home,
        re.compile(r"started successfully on port (\d+)"),
        stack,
        LANGUAGE=launch.language,
    )
    arguments = [
        *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--mute-audio"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        # A tab in the back must not be slowed down: several are driven at once.
        *("--disable-background-timer-throttling", "--disable-renderer-backgrounding"),
        "--disable-backgrounding-occluded-windows",
        # What moves for ever is drawn 60 times a second without a graphics card: half a core for a glow.
        # A test that is about motion asks for it (prefers-reduced-motion: no-preference).
        "--force-prefers-reduced-motion",
        # No process is started in advance, which mostly nothing uses.
        "--disable-features=SpareRendererForSitePerProcess",
        "--autoplay-policy=no-user-gesture-required",
        f"--user-data-dir={launch.folder / 'profile'}",
        f"--host-resolver-rules={','.join(rules)}",
    ]
    options = {"binary": _program("chromium", "chromium"), "args": arguments}
    wanted = {"browserName": "chrome", "webSocketUrl": True, "goog:chromeOptions": options}
    body = {"capabilities": {"alwaysMatch": wanted}}
    base = f"http://127.0.0.1:{port}/session"
    async with session.post(base, json=body) as response:
        value: dict[str, Any] = (await response.json())["value"]
    if "capabilities" not in value:
        raise RuntimeError(f"Chromium did not start: {value.get('message')}")

    async def quit_browser() -> None:
        with contextlib.suppress(OSError, TimeoutError):
            async with session.delete(f"{base}/{value['sessionId']}"):
                pass

    stack.push_async_callback(quit_browser)
    connection = await Connection.open(session, value["capabilities"]["webSocketUrl"])
    stack.push_async_callback(connection.close)
    return Browser("chromium", value["capabilities"]["browserVersion"], connection)


async def _firefox(launch: Launch, session: ClientSession, stack: AsyncExitStack) -> Browser:
    loopback = launch.loopback
    profile = launch.folder / "profile"
    profile.mkdir(parents=True)
    if loopback.authority is not None:
        await _trust(profile, loopback.authority)
    preferences: dict[str, bool | int | str] = {
        "browser.shell.checkDefaultBrowser": False,
        "app.update.disabledForTesting": True,
        "datareporting.policy.dataSubmissionEnabled": False,
        "network.proxy.type": 2,
        "network.proxy.autoconfig_url": _only(loopback.names),
        "media.autoplay.default": 0,
        # What is drawn costs a third of Firefox's CPU here, and 20 frames a second show all there is.
        "layout.frame_rate": 20,
        "ui.prefersReducedMotion": 1,
        # A tab in the back must not be slowed down.
        "dom.min_background_timeout_value": 25,
        "dom.timeout.enable_budget_timer_throttling": False,
        "dom.ipc.processPrelaunch.enabled": False,
        "dom.ipc.processCount": 2,
        # The next page of a site takes the process that the last one left.
        "dom.ipc.keepProcessesAlive.webIsolated.max": 2,
        "dom.ipc.keepProcessesAlive.webIsolated.perOrigin": 2,
        # Permissions for optional hosts are granted without the prompt that nobody could answer here.
        "extensions.webextOptionalPermissionPrompts": False,
        "intl.locale.requested": launch.language,
    }
    if loopback.names:
        preferences["network.dns.localDomains"] = ",".join(loopback.names)
        preferences["network.socket.forcePort"] = f"443={loopback.port}"
    preferences |= launch.preferences
    lines = [f"user_pref({json.dumps(key)}, {json.dumps(value)});" for key, value in preferences.items()]
    (profile / "user.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
    command = [_program("firefox-esr", "firefox"), "--headless", "--no-remote", "--profile", str(profile)]
    # Pages of an extension may only be visited with the second flag.
    command += ["--remote-debugging-port", "0", "--remote-allow-system-access", "about:blank"]
    address = await _started(
        command, launch.folder, re.compile(r"WebDriver BiDi listening on (ws://[\w.]+:\d+)"), stack
    )
    connection = await Connection.open(session, f"{address}/session")
    stack.push_async_callback(connection.close)
    answer = await connection.command("session.new", capabilities={})
    return Browser("firefox", answer["capabilities"]["browserVersion"], connection)


def _program(*names: str) -> str:
    return next(path for name in names if (path := shutil.which(name)) is not None)


def _only(names: tuple[str, ...]) -> str:
    """A proxy script that lets through loopback and the given names, and sends the rest to a closed port."""
    allowed = json.dumps(["127.0.0.1", "localhost", *names])
    code = f"function FindProxyForURL(u, h) {{ return {allowed}.includes(h) ? 'DIRECT' : 'PROXY 127.0.0.1:9'; }}"
    return f"data:application/x-ns-proxy-autoconfig,{code.replace(' ', '%20')}"


async def _trust(database: Path, authority: Path) -> None:
    where = f"sql:{database}"
    await _run("certutil", "-N", "-d", where, "--empty-password")
    await _run("certutil", "-A", "-d", where, "-t", "C,,", "-n", "test", "-i", str(authority))


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{command[0]}: {said.decode(errors='replace').strip()}")


async def _started(
    command: list[str], home: Path, ready: re.Pattern[str], stack: AsyncExitStack, **more: str
) -> str:
    """Start a program in a process group of its own, and wait for the line that says where it listens."""
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home), **more}  # noqa: TID251 - handed on
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=environment,
        start_new_session=True,
        limit=1 << 20,
    )
    stack.push_async_callback(_ended, process)
    output = process.stdout
    assert output is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(START_SECONDS):
            async for line in output:
                said.append(line.decode(errors="replace").rstrip())
                found = ready.search(said[-1])
                if found is not None:
                    draining = asyncio.create_task(_drain(output))
                    stack.callback(draining.cancel)
                    return found[1]
    except TimeoutError:
        pass
    raise RuntimeError(f"{command[0]} did not start: {' / '.join(said[-5:])}")


async def _drain(output: asyncio.StreamReader) -> None:
    """Read on, so that the browser never waits for a full pipe."""
    while await output.read(1 << 16):
        pass


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End the program and all that it started: its process group, by its number."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await process.wait()
            if number == signal.SIGTERM:
                await asyncio.sleep(0.1)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
