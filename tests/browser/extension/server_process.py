"""A real server in a process of its own, which a test may stop, start again, or tell to change its rules."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiohttp import ClientSession
from yarl import URL

START_SECONDS: Final = 240.0


class ServerProcess:
    """`python -m server serve` on one port of loopback, the same whenever it is started again."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        inherited = {**os.environ, **environment}  # noqa: TID251 - handed on
        self._environment = {**inherited, "TWITCHAUDIO_DATA_DIR": str(folder)}
        self._process: asyncio.subprocess.Process | None = None
        self._draining: asyncio.Task[bytes] | None = None
        self.address = URL()

    async def start(self) -> None:
        """Start it. Raises RuntimeError with its last words."""
        port = str(self.address.port or 0)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", "serve", "--port", port),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        self._process = process
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = (await process.stdout.readline()).decode()
        if "http://" not in line:
            raise RuntimeError(f"the server did not start: {line!r}")
        self._draining = asyncio.create_task(process.stdout.read())
        self.address = URL("http://" + line.split("http://", 1)[1].split()[0]).origin()

    async def stop(self, *, hard: bool = False) -> None:
        """Stop it, with SIGKILL when `hard`."""
        process, self._process = self._process, None
        if process is None:
            return
        if hard:
            process.kill()
        else:
            process.terminate()
        await process.wait()
        if self._draining is not None:
            await self._draining

    async def jobs(self) -> int:
        """How many jobs have ended since it was started."""
        async with ClientSession() as session, session.get(self.address / "metrics") as answer:
            lines = (await answer.text()).splitlines()
        counted = [line for line in lines if line.startswith("twitchaudio_identifications_total{")]
        return sum(int(float(line.split()[-1])) for line in counted)

    async def admin(self, *arguments: str) -> str:
        """Run `twitchaudio admin ...` on its database; gives what it prints."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", "admin", *arguments),
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, complained = await process.communicate()
        if process.returncode:
            raise RuntimeError(f"admin {' '.join(arguments)}: {complained.decode()}")
        return said.decode()
