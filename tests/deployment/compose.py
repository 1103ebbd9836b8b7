"""docker-compose.yml as its first lines and docs/aws.md say it, on a real engine: `scripts/test compose`."""

import json
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
import yaml

from tests.deployment.engine import ROOT, WORK, Engine, call, running_engine
from tests.emulators import free_port

pytestmark = pytest.mark.timeout(1_800)

T = TypeVar("T")

MAX_IMAGE_BYTES: Final = 350_000_000
SIMULATOR_PORT: Final = 8099
CHANNEL: Final = "neonharbour"
PATIENCE_SECONDS: Final = 240.0
IMAGES: Final = {
    "twitchaudio": "Dockerfile",
    "twitchaudio-fingerprint": "Dockerfile.lambda",
}


@pytest.fixture(scope="module")
def engine() -> Generator[Engine]:
    with running_engine() as engine:
        made = subprocess.run(
            [ROOT / "scripts/lib/base-images", WORK / "base"],
            env={**os.environ, **engine.environment, "DOCKER": engine.docker[0]},  # noqa: TID251 - docker's own
            text=True,
            stderr=subprocess.PIPE,
            check=False,
        )
        if made.returncode != 0:
            pytest.skip(made.stderr.strip().rpartition("\n")[2])
        before = set(engine.run("images", "-q", "--no-trunc").split())
        yield engine
        engine.run("image", "prune", "--force", check=False)
        for image in set(engine.run("images", "-q", "--no-trunc").split()) - before:
            engine.run("rmi", "--force", image, check=False)


@pytest.fixture(scope="module")
def images(engine: Engine) -> Mapping[str, int]:
    """The images that the docs have built, with their sizes in bytes; the classic builder knows least."""
    sizes: dict[str, int] = {}
    for name, file in IMAGES.items():
        build = [*engine.docker, "build", "--quiet", "-f", f"deploy/{file}", "-t", name, "."]
        call(build, {**engine.environment, "DOCKER_BUILDKIT": "0"}, seconds=1_500)
        sizes[name] = int(engine.run("image", "inspect", "--format", "{{.Size}}", name))
    return sizes


@dataclass(frozen=True, slots=True)
class Music:
    """What the simulated Twitch plays: its folder, the folder of its songs, and the variables that lead there."""

    cache: Path
    songs: Path
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Music:
    cache, songs = tmp_path_factory.mktemp("cache"), tmp_path_factory.mktemp("songs")
    command = [sys.executable, "-m", "simulator", "--port", str(SIMULATOR_PORT), "--json", "--cache", str(cache)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        process.kill()
    for song in said["songs"]:
        shutil.copy(song, songs)
    for folder in (cache, songs):
        subprocess.run(["chmod", "-R", "a+rX", str(folder)], check=True)
        folder.parent.chmod(0o755)
    return Music(cache, songs, said["environment"])


class Stack:
    """A project of the compose file with settings, volumes and a port of its own, and a simulated Twitch."""

    def __init__(
        self, engine: Engine, folder: Path, music: Music, service: str, settings: Mapping[str, str]
    ) -> None:
        self.engine = engine
        self.service = service
        self.port = free_port()
        self._project = f"twitchaudio-test-{secrets.token_hex(3)}"
        self._env = folder / "env"
        self._over = folder / "twitch.yml"
        passwords = (
            {}
            if service == "minimal"
            else {
                "DATABASE_PASSWORD": secrets.token_hex(8),
                "DATABASE_ROOT_PASSWORD": secrets.token_hex(8),
            }
        )
        values = {
            **passwords,
            "PORT": str(self.port),
            "MUSIC_FOLDER": str(music.songs),
            **music.environment,
            **settings,
        }
        self._env.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
        twitch = {
            "image": "twitchaudio",
            "network_mode": f"service:{service}",
            "user": "0",
            "command": ["python", "-m", "simulator", "--port", str(SIMULATOR_PORT), "--cache", "/cache"],
            "volumes": [f"{music.cache}:/cache"],
        }
        self._over.write_text(yaml.safe_dump({"services": {"twitch": twitch}}), encoding="utf-8")

    def compose(self, *arguments: str, check: bool = True) -> str:
        files = ["-f", str(ROOT / "docker-compose.yml"), "-f", str(self._over)]
        command = [*self.engine.compose, "--env-file", str(self._env), "-p", self._project, *files, *arguments]
        return call(command, self.engine.environment, check=check)

    def container(self, service: str) -> str:
        return self.compose("ps", "-q", service).strip()

    def up(self, *services: str, profiles: Sequence[str] = ()) -> None:
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        self.compose(*chosen, "up", "--detach", "--no-build", *services)
        self.wait_until_healthy(self.service)

    def wait_until_healthy(self, service: str) -> None:
        container = self.container(service)
        self.wait(
            lambda: (
                self.engine.run("inspect", "--format", "{{.State.Health.Status}}", container).strip() == "healthy"
            ),
            f"{service} to be healthy",
        )

    def wait(self, condition: Callable[[], T | None], what: str) -> T:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited for {what}\n{self.compose('logs', '--tail', '60')}"
            time.sleep(0.5)
        return found

    def get(self, path: str, **more: Any) -> tuple[int, Any]:
        return request(f"http://127.0.0.1:{self.port}{path}", **more)

    def sync(self) -> None:
        """Take the songs in. On a busy machine, a process that reads one may not start in time."""

        def synced() -> bool:
            command = ("exec", "-T", self.service, "twitchaudio", "catalog", "sync", "--settle", "0", "/music")
            return "skipped" not in self.compose(*command, check=False)

        self.wait(synced, "the songs to be read")

    def ask(self) -> dict[str, Any]:
        """The answer to what the channel plays now."""
        self.compose("up", "--detach", "--no-build", "--no-deps", "twitch")

        def answered() -> dict[str, Any] | None:
            status, answer = self.get(
                "/api/v1/identifications",
                data=json.dumps({"channel": CHANNEL}).encode(),
                headers={"Content-Type": "application/json", "Prefer": "wait=30"},
            )
            return answer if status in (200, 201) and answer["song"] else None

        return self.wait(answered, "a song")

    def history(self) -> list[str]:
        status, page = self.get(f"/api/v1/channels/{CHANNEL}/songs")
        assert status == 200, page
        return [answer for play in page["plays"] for answer in play["identifications"]]


def request(
    url: str,
    *,
    data: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    context: ssl.SSLContext | None = None,
) -> tuple[int, Any]:
    """Status and JSON of a response; 0 while nothing answers."""
    asked = urllib.request.Request(url, data=data, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(asked, timeout=40, context=context) as response:
            return response.status, json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


@contextmanager
def stack(
    engine: Engine, folder: Path, music: Music, *, service: str = "server", **settings: str
) -> Generator[Stack]:
    made = Stack(engine, folder, music, service, settings)
    try:
        yield made
    finally:
        made.compose(
            "--profile", "minimal", "--profile", "tls", "--profile", "aws-local", "down", "--volumes", check=False
        )


def test_the_images_are_small_and_run_as_a_user(engine: Engine, images: Mapping[str, int]) -> None:
    for name, size in images.items():
        print(f"{name}: {size / 1e6:.0f} MB")
    assert images["twitchaudio"] < MAX_IMAGE_BYTES
    said = engine.run(
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/tmp",
        "twitchaudio",
        "sh",
        "-c",
        "id -u; twitchaudio --version; mariadb-dump --version",
    )
    assert said.startswith("10001\ntwitchaudio ")
    loaded = "import fingerprint.lambda_handler as l; print(l.handler.__name__)"
    assert (
        engine.run("run", "--rm", "--entrypoint", "python", "twitchaudio-fingerprint", "-c", loaded).strip()
        == "handler"
    )


def test_minimal_names_a_song_and_keeps_it(
    engine: Engine, images: Mapping[str, int], music: Music, tmp_path: Path
) -> None:
    with stack(engine, tmp_path, music, service="minimal") as minimal:
        minimal.up("minimal", profiles=["minimal"])
        minimal.sync()
        answer = minimal.ask()
        assert answer["id"] in minimal.history()
        made = minimal.compose("exec", "-T", "minimal", "twitchaudio", "backup", "/var/lib/twitchaudio")
        assert "Backed up to /var/lib/twitchaudio/twitchaudio-" in made
        minimal.compose("restart", "minimal")
        minimal.wait_until_healthy("minimal")
        assert answer["id"] in minimal.history()


def test_with_mariadb_a_song_outlives_restarts_and_the_database_comes_back(
    engine: Engine, images: Mapping[str, int], music: Music, tmp_path: Path
) -> None:
    ports = {
        "HTTP_PORT": str(free_port()),
        "HTTPS_PORT": str(free_port()),
        "TWITCHAUDIO_TRUSTED_PROXIES": "172.16.0.0/12",
    }
    with stack(engine, tmp_path, music, **ports) as whole:
        whole.up("server", "tls", profiles=["tls"])
        whole.sync()
        answer = whole.ask()
        assert answer["id"] in whole.history()
        made = whole.compose("exec", "-T", "server", "twitchaudio", "backup", "/var/lib/twitchaudio")
        assert "the database" in made
        _through_caddy(whole, int(ports["HTTPS_PORT"]))
        _kill(whole, "database")
        whole.wait(lambda: whole.get("/readyz")[0] == 503, "the server to miss its database")
        whole.wait(lambda: whole.get("/readyz")[0] == 200, "the database to come back")
        assert answer["id"] in whole.history()
        _kill(whole, "server")
        whole.wait(lambda: whole.get("/readyz")[0] == 200, "the server to come back")
        assert answer["id"] in whole.history()


def _kill(whole: Stack, service: str) -> None:
    """End a container's process as a crash does; `docker kill` would count as a wish of ours."""
    pid = whole.engine.run("inspect", "--format", "{{.State.Pid}}", whole.container(service)).strip()
    try:
        os.kill(int(pid), signal.SIGKILL)
    except (PermissionError, ProcessLookupError):  # not root, or the engine is on another machine
        whole.compose("restart", service)


def _through_caddy(whole: Stack, port: int) -> None:
    unchecked = ssl.create_default_context()  # Caddy's own authority signs for localhost
    unchecked.check_hostname = False
    unchecked.verify_mode = ssl.CERT_NONE
    status = whole.wait(
        lambda: request(f"https://localhost:{port}/healthz", context=unchecked)[0] or None, "Caddy"
    )
    assert status == 200


def test_jobs_in_a_local_dynamodb_outlive_its_restart(
    engine: Engine, music: Music, images: Mapping[str, int], tmp_path: Path
) -> None:
    with stack(engine, tmp_path, music, TWITCHAUDIO_JOBS="dynamodb") as local:
        local.compose("--profile", "aws-local", "build", "dynamodb")
        local.up("server", "dynamodb", profiles=["aws-local"])
        local.sync()
        answer = local.ask()
        local.compose("--profile", "aws-local", "restart", "dynamodb")
        local.wait(lambda: local.get("/readyz")[0] == 200, "the tables to be there again")
        assert answer["id"] in local.history()


def test_a_folder_of_another_user_is_named(engine: Engine, images: Mapping[str, int], tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    for folder in (tmp_path, tmp_path.parent):
        folder.chmod(0o755)
    said = engine.run(
        "run", "--rm", "--user", "10001", "-v", f"{data}:/var/lib/twitchaudio", "twitchaudio", check=False
    )
    assert "/var/lib/twitchaudio" in said
    assert "10001" in said
    assert "Traceback" not in said
