"""DynamoDB and Lambda as programs of others, each on a loopback port for as long as a test run lasts.

- moto: the API's shape. Its conditional writes are not atomic, so no race is proven on it.
- ministack: races, and Lambda.
- dynalite: races, an old level of the API.
"""

import itertools
import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError

from fingerprint.jobs.dynamodb.tables import TTL_ATTRIBUTE, TableNames, create_tables
from tests.fetched import wait_until_fetched

ROOT: Final = Path(__file__).parent.parent
MINISTACK: Final = ROOT / ".cache" / "emulators" / "bin" / "ministack"
DYNALITE: Final = ROOT / "requirements" / "node" / "node_modules" / "dynalite" / "cli.js"
REGION: Final = "us-east-1"
# Emulators take any credentials; the secret is looked for in logs.
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIATESTTESTTESTTEST",
    "AWS_SECRET_ACCESS_KEY": "canary-aws-s3cret",
    "AWS_DEFAULT_REGION": REGION,
    "AWS_EC2_METADATA_DISABLED": "true",
}
_START_SECONDS: Final = 240.0
# Ports above are handed out to clients, and one may be taken at the wrong moment.
_PORTS: Final = range(20_000, 32_000)


@dataclass(slots=True)
class Emulator:
    """A running emulator. `process` is None for one in this process."""

    name: str
    endpoint: str
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def new_names(self) -> tuple[str, str]:
        """Names for two new tables."""
        number = next(self._numbers)
        return f"streams-{os.getpid()}-{number}", f"clips-{os.getpid()}-{number}"


async def create_lasting_tables(client: Any, names: TableNames) -> list[str]:
    """Create the tables, without expiry by the emulator; returns the names of those created.

    ministack deletes every minute what has expired by its own clock, which a test's clock is far behind. DynamoDB
    keeps such items, since a server's clock and its own agree.
    """
    created = await create_tables(client, names)
    for name in (names.streams, names.clips):
        state = await _expiry(client, name)
        if state == "ENABLED":
            wanted = {"Enabled": False, "AttributeName": TTL_ATTRIBUTE}
            await client.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)
            assert await _expiry(client, name) == "DISABLED"
    return created


async def _expiry(client: Any, name: str) -> str | None:
    try:
        described: Any = await client.describe_time_to_live(TableName=name)
    except ClientError:
        return None  # dynalite knows nothing of it
    return described["TimeToLiveDescription"].get("TimeToLiveStatus")


def free_port() -> int:
    """A port that nothing listens on."""
    for _ in range(200):
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    pytest.fail("no free port")


@contextmanager
def moto() -> Generator[Emulator]:
    """moto's server in a thread of this process."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Emulator("moto", f"http://{host}:{port}")
    finally:
        server.stop()


@contextmanager
def ministack() -> Generator[Emulator]:
    """ministack, with Lambda functions as processes of this machine."""
    wait_until_fetched()
    if not MINISTACK.exists():
        pytest.skip("ministack is not installed; scripts/test installs it")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ministack-") as folder:
        environment = {
            **CREDENTIALS,
            "PATH": os.defpath,
            "TMPDIR": folder,
            "HOME": folder,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "ERROR",
            "LAMBDA_EXECUTOR": "local",
        }
        with _running([str(MINISTACK)], environment, f"http://127.0.0.1:{port}/_ministack/ready") as process:
            yield Emulator("ministack", f"http://127.0.0.1:{port}", process)


@contextmanager
def dynalite() -> Generator[Emulator]:
    """dynalite, in memory."""
    node = shutil.which("node")
    if node is None or not DYNALITE.exists():
        pytest.skip("dynalite is not installed; scripts/test installs it where Node.js is")
    port = free_port()
    command = [node, str(DYNALITE), "--host", "127.0.0.1", "--port", str(port), "--createTableMs", "20"]
    with _running(command, {"PATH": os.defpath}, f"http://127.0.0.1:{port}/") as process:
        yield Emulator("dynalite", f"http://127.0.0.1:{port}", process)


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], ready: str) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"{command[0]} did not start")
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


EMULATORS: Final[Mapping[str, Any]] = {"moto": moto, "ministack": ministack, "dynalite": dynalite}
