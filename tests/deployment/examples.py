"""The examples of deploy/ do together what the docs promise: `scripts/test deploy`."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.bench.answer_time import Bench, simulated_twitch
from tests.emulators import free_port
from tests.mariadb import MariaDB

pytestmark = pytest.mark.timeout(600)

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ROOT / "deploy" / "examples"
MONITORING: Final = ROOT / "deploy" / "monitoring"
PROGRAMS: Final = ROOT / ".cache" / "examples"
CHANNELS: Final = ("neonharbour", "talkshow_tess", "barebones_tv")
START_SECONDS: Final = 300.0
MAX_EXPOSURE: Final = 25
"""Of `systemd-analyze security`, in tenths: below 2.5 of 10."""


def program(name: str) -> str:
    """The path of a program, installed or unpacked by scripts/test."""
    found = shutil.which(name) or next((str(path) for path in PROGRAMS.glob(f"usr/*bin/{name}")), None)
    if found is None:
        pytest.skip(f"no {name} here: scripts/test deploy fetches it from Debian")
    return found


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


# --- Files alone --------------------------------------------------------------------------------------


def test_prometheus_takes_the_rules_and_the_settings() -> None:
    assert "SUCCESS" in run(program("promtool"), "check", "rules", str(MONITORING / "alerts.yml"))
    assert "SUCCESS" in run(program("promtool"), "check", "config", "prometheus.yml", cwd=MONITORING)


@pytest.mark.parametrize(
    ("alert", "series", "at"),
    [
        ("TwitchAudioBackupOld", {"twitchaudio_backup_timestamp_seconds": "0x4400"}, "72h"),
        (
            "TwitchAudioDisk",
            {"twitchaudio_disk_free_bytes": "9x60", "twitchaudio_disk_size_bytes": "100x60"},
            "30m",
        ),
        (
            "TwitchAudioProviderBudget",
            {
                'twitchaudio_provider_questions{provider="audd",period="day"}': "81x60",
                'twitchaudio_provider_budget{provider="audd",period="day"}': "100x60",
            },
            "5m",
        ),
        (
            "TwitchAudioUnknownFromTwitch",
            {'twitchaudio_twitch_unknown_total{kind="error",value="NEW"}': "0+1x60"},
            "30m",
        ),
        ("TwitchAudioWorkerFailures", {'twitchaudio_worker_failures_total{work="decode"}': "0+1x60"}, "30m"),
        (
            "TwitchAudioLoopLag",
            {
                'twitchaudio_event_loop_lag_seconds_bucket{instance="a",le="0.25"}': "0+1x60",
                'twitchaudio_event_loop_lag_seconds_bucket{instance="a",le="1.0"}': "0+9x60",
                'twitchaudio_event_loop_lag_seconds_bucket{instance="a",le="+Inf"}': "0+9x60",
            },
            "30m",
        ),
        (
            "TwitchAudioOldSound",
            {
                'twitchaudio_newest_sound_age_seconds_bucket{instance="a",le="15.0"}': "0+1x90",
                'twitchaudio_newest_sound_age_seconds_bucket{instance="a",le="30.0"}': "0+9x90",
                'twitchaudio_newest_sound_age_seconds_bucket{instance="a",le="+Inf"}': "0+9x90",
                'twitchaudio_newest_sound_age_seconds_count{instance="a"}': "0+9x90",
            },
            "1h",
        ),
        (
            "TwitchAudioDatabaseGrows",
            {"twitchaudio_database_bytes": "0+1000000x1500", "twitchaudio_disk_free_bytes": "1000000000x1500"},
            "20h",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("Twitch") else "",
)
def test_an_alert_goes_off(alert: str, series: Mapping[str, str], at: str, tmp_path: Path) -> None:
    """By promtool's own engine; what is compared is only whether it fires, its texts are looked at by eye."""
    rules = tmp_path / "alerts.yml"
    text = (MONITORING / "alerts.yml").read_text(encoding="utf-8")
    # Only this one, and without its words, which a test would have to repeat.
    block = re.search(rf"      - alert: {alert}\n(?:        .*\n|          .*\n)+", text)
    assert block is not None
    kept = re.sub(r"        (?:annotations|labels):.*\n(?:          summary:.*\n)?", "", block[0])
    rules.write_text(f"groups:\n  - name: one\n    rules:\n{kept}", encoding="utf-8")
    case = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": list[str]()}],
    }
    test = {"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [case]}
    (tmp_path / "test.yml").write_text(json.dumps(test), encoding="utf-8")
    done = subprocess.run(
        [program("promtool"), "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"alertname: {alert}" in done.stdout + done.stderr, done.stdout + done.stderr


def test_systemd_takes_the_unit_and_shuts_the_server_in(tmp_path: Path) -> None:
    unit = tmp_path / "twitchaudio.service"
    text = (EXAMPLES / "twitchaudio.service").read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/twitchaudio/bin", str(Path(sys.executable).parent)), encoding="utf-8")
    assert run(program("systemd-analyze"), "verify", str(unit)) == ""
    run(program("systemd-analyze"), "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", str(unit))


# --- Two servers behind a proxy -----------------------------------------------------------------------


@dataclass
class Pair:
    """Two servers on one database, below a path, as the comments of the examples set them up."""

    settings: Mapping[str, str]
    ports: tuple[int, int]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list[subprocess.Popen[bytes]])

    def start(self, number: int) -> None:
        """Start one, and wait until it says to its service manager that it is ready."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            name = f"@twitchaudio-{os.getpid()}-{time.monotonic_ns()}"
            manager.bind(name.replace("@", "\0"))
            manager.settimeout(START_SECONDS)
            command = [sys.executable, "-m", "server", "serve", "--port", str(self.ports[number])]
            folder = {"TWITCHAUDIO_DATA_DIR": f"{self.settings['TWITCHAUDIO_DATA_DIR']}/{number}"}
            variables = {"PATH": os.defpath, **self.settings, **folder, "NOTIFY_SOCKET": name}
            process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.DEVNULL)
            self.processes[number : number + 1] = [process]
            assert manager.recv(100) == b"READY=1"

    def stop(self, number: int) -> None:
        process = self.processes[number]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.fixture(scope="module")
def twitch(tmp_path_factory: pytest.TempPathFactory) -> Generator[Bench]:
    with simulated_twitch(tmp_path_factory.mktemp("twitch")) as bench:
        yield bench


@pytest.fixture(scope="module")
def site() -> str:
    """The website's address: its host leads here, its port is free."""
    return f"localhost:{free_port()}"


@pytest.fixture(scope="module")
def pair(twitch: Bench, mariadb: MariaDB, site: str, tmp_path_factory: pytest.TempPathFactory) -> Generator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    settings = {
        **twitch.environment,
        "TWITCHAUDIO_DATA_DIR": str(folder),
        "TWITCHAUDIO_CATALOGS": str(twitch.catalog),
        "TWITCHAUDIO_DATABASE_URL": mariadb.new_database(),
        "TWITCHAUDIO_SESSION_KEY": "a key for both of these servers; not random",
        "TWITCHAUDIO_BASE_URL": f"https://{site}/twitchaudio",
        "TWITCHAUDIO_TRUSTED_PROXIES": "127.0.0.1,::1",
        "TWITCHAUDIO_LOG_LEVEL": "warning",
    }
    made = Pair(settings, (free_port(), free_port()))
    try:
        for number in range(2):
            made.start(number)
        yield made
    finally:
        for process in made.processes:
            process.kill()
            process.wait(10)


@asynccontextmanager
async def proxy(name: str, pair: Pair, site: str, folder: Path) -> AsyncGenerator[None]:
    """The proxy with its example, whose names, ports and certificate are replaced by those of this machine."""
    names = {"127.0.0.1:8080": f"127.0.0.1:{pair.ports[0]}", "127.0.0.1:8081": f"127.0.0.1:{pair.ports[1]}"}
    host, port = site.split(":")
    if name == "nginx":
        command = _nginx({**names, "songs.example": host, "443": port}, folder)
    else:
        command = _caddy({**names, "songs.example": site}, folder)
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=folder)
    try:
        await asyncio.to_thread(wait_for_port, int(port), lambda: (folder / "log").read_text(encoding="utf-8"))
        yield
    finally:
        process.terminate()
        try:
            # Caddy waits for its clients, and their end of TLS needs this event loop.
            async with asyncio.timeout(60):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def wait_for_port(port: int, log: Callable[[], str]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("localhost", port)):
            return
        assert time.monotonic() < deadline, log()
        time.sleep(0.1)


def replaced(name: str, changes: Mapping[str, str]) -> str:
    text = re.sub(r"#.*", "", (EXAMPLES / name).read_text(encoding="utf-8"))
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def _nginx(changes: Mapping[str, str], folder: Path) -> Sequence[str]:
    certificate(folder)
    changes = {
        "/etc/ssl/songs.example.pem": str(folder / "cert.pem"),
        "/etc/ssl/songs.example.key": str(folder / "key.pem"),
        **changes,
    }
    (folder / "site.conf").write_text(replaced("nginx.conf", changes), encoding="utf-8")
    paths = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log stderr; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; {paths} include {folder}/site.conf; }}\n",
        encoding="utf-8",
    )
    return program("nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"


def _caddy(changes: Mapping[str, str], folder: Path) -> Sequence[str]:
    for home in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        (folder / home).mkdir()
    options = (
        "admin off",
        "auto_https disable_redirects",
        "skip_install_trust",
        f"storage file_system {folder}/data",
    )
    own = "{\n\t" + "\n\t".join(options) + "\n}\n"
    (folder / "Caddyfile").write_text(own + replaced("Caddyfile", changes), encoding="utf-8")
    return program("caddy"), "run", "--config", str(folder / "Caddyfile")


def certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    (folder / "cert.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(key.private_bytes(*form))


@asynccontextmanager
async def visiting(site: str) -> AsyncGenerator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(ssl=False, limit=0)  # the certificate is our own
    timeout = aiohttp.ClientTimeout(total=90)
    async with aiohttp.ClientSession(f"https://{site}", connector=connector, timeout=timeout) as session:
        yield session


async def serving(session: aiohttp.ClientSession) -> None:
    """Wait until the proxy has its certificate and has seen the servers."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                if (await session.get("/twitchaudio/healthz")).status == 200:
                    return
            await asyncio.sleep(0.2)


async def ask(session: aiohttp.ClientSession, channel: str) -> tuple[int, Any]:
    headers = {"Prefer": "wait=30", "Cache-Control": "no-cache"}
    path = "/twitchaudio/api/v1/identifications"
    async with session.post(path, json={"channel": channel}, headers=headers) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("name", ["nginx", "caddy"])
async def test_a_proxy_passes_everything_on(name: str, pair: Pair, site: str, tmp_path: Path) -> None:
    async with proxy(name, pair, site, tmp_path), visiting(site) as session:
        await serving(session)
        response = await session.get("/twitchaudio", allow_redirects=False)
        assert response.status == 308
        assert response.headers["Location"].removeprefix(f"https://{site}") == "/twitchaudio/"
        page = await (await session.get("/twitchaudio/docs")).text()
        assert f"https://{site}/twitchaudio/api/v1" in page
        made_up = {"X-Forwarded-For": "192.0.2.77", "X-Forwarded-Proto": "http"}
        response = await session.get("/twitchaudio/", headers=made_up)
        assert response.status == 200
        # While the stream of events stays open, the first ones come through.
        async with session.get(f"/twitchaudio/api/v1/channels/{CHANNELS[0]}/events") as events:
            assert events.headers["Content-Type"].startswith("text/event-stream")
            status, answer = await ask(session, CHANNELS[0])
            assert status == 200, answer
            seen = b""
            async with asyncio.timeout(START_SECONDS):
                while b"event: play" not in seen:
                    seen += await events.content.readany()


async def test_a_rolling_restart_behind_nginx_loses_no_waiter(
    pair: Pair, site: str, tmp_path: Path, twitch: Bench
) -> None:
    answers: list[tuple[int, Any]] = []
    over = asyncio.Event()

    async def keep_asking(session: aiohttp.ClientSession, channel: str) -> None:
        while not over.is_set():
            answers.append(await ask(session, channel))

    async with proxy("nginx", pair, site, tmp_path), visiting(site) as session:
        asking = [asyncio.create_task(keep_asking(session, channel)) for channel in CHANNELS * 4]
        await asyncio.sleep(3)
        for number in range(2):
            await asyncio.to_thread(pair.stop, number)
            await asyncio.to_thread(pair.start, number)
            await asyncio.sleep(3)
        over.set()
        await asyncio.gather(*asking)
    assert len(answers) > 20
    assert [answer for status, answer in answers if status != 200] == []
