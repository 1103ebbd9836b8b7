"""An engine for containers: the one that runs here, or one of our own for as long as the tests take."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
WORK: Final = ROOT / ".cache" / "engine"


@dataclass(frozen=True, slots=True)
class Engine:
    """How to talk to an engine: `docker` and `compose` are the beginnings of command lines."""

    docker: tuple[str, ...]
    compose: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def run(self, *arguments: str, check: bool = True, seconds: float = 900) -> str:
        """What `docker ARGUMENTS` prints, standard error included."""
        return call([*self.docker, *arguments], self.environment, check=check, seconds=seconds)


def call(
    command: Sequence[str], environment: Mapping[str, str], *, check: bool = True, seconds: float = 900
) -> str:
    """Run a command in the checkout; fails with all that it printed."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},  # noqa: TID251 - docker's own variables
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0 or not check, f"{' '.join(command)}\n{done.stdout[-6_000:]}"
    return done.stdout


@contextmanager
def running_engine() -> Generator[Engine]:
    """The engine that answers, or a daemon of our own. Skips, in one line, when there can be none."""
    # Another client may come first in PATH than the one that belongs to the daemon.
    docker = next(
        (path for path in ("/usr/bin/docker", shutil.which("docker")) if path and Path(path).exists()), None
    )
    if docker is None:
        pytest.skip("no Docker here (on Debian: apt-get install docker.io docker-compose iptables)")
    if (compose := _compose(docker)) is None:
        pytest.skip("no Compose here (on Debian: apt-get install docker-compose)")
    if _answers(docker, {}):
        yield Engine((docker,), compose)
        return
    daemon = shutil.which("dockerd") or shutil.which("dockerd", path="/usr/sbin")
    if daemon is None or os.geteuid() != 0:
        pytest.skip("no Docker engine answers, and only root with dockerd can start one of its own")
    with _own_daemon(daemon, docker) as environment:
        yield Engine((docker,), compose, environment)


def _compose(docker: str) -> tuple[str, ...] | None:
    with contextlib.suppress(subprocess.CalledProcessError):
        subprocess.run([docker, "compose", "version"], capture_output=True, check=True, timeout=30)
        return (docker, "compose")
    program = shutil.which("docker-compose")
    return None if program is None else (program,)


def _answers(docker: str, environment: Mapping[str, str]) -> bool:
    return (
        subprocess.run(
            [docker, "info"],
            env={**os.environ, **environment},  # noqa: TID251 - as above
            capture_output=True,
            timeout=30,
            check=False,
        ).returncode
        == 0
    )


@contextmanager
def _own_daemon(daemon: str, docker: str) -> Generator[Mapping[str, str]]:
    WORK.mkdir(parents=True, exist_ok=True)
    socket = WORK / "docker.sock"
    environment = {"DOCKER_HOST": f"unix://{socket}"}
    command = [daemon, "--data-root", str(WORK / "data"), "--exec-root", str(WORK / "exec")]
    command += ["--pidfile", str(WORK / "dockerd.pid"), "-H", environment["DOCKER_HOST"]]
    command += ["--storage-driver", "overlay2", "--exec-opt", "native.cgroupdriver=cgroupfs"]
    with (WORK / "dockerd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 60
        while not _answers(docker, environment):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.skip(f"dockerd does not run here: {WORK / 'dockerd.log'} says why")
            time.sleep(0.5)
        yield environment
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
