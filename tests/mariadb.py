"""A MariaDB of the tests' own: private data directory, port and socket, one database for each test that asks."""

import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

PROGRAMS: Final = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin")
PASSWORD: Final = "canary-p4ssword"
_START_SECONDS: Final = 240.0
# Ports above are handed out to clients, and one may be taken at the wrong moment.
_PORTS: Final = range(20_000, 32_000)


class MariaDB:
    """The server's process, to be stopped, killed and started again by fault tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self._socket = folder / "s.sock"
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None

    def install(self) -> None:
        """Make the data directory."""
        if os.geteuid() == 0:
            # The server refuses to run as root.
            shutil.chown(self.folder, "mysql")
        self._run(
            "mariadb-install-db",
            *self._user(),
            f"--datadir={self.folder / 'data'}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--skip-name-resolve",
        )

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(
            [
                _program("mariadbd"), "--no-defaults", *self._user(),
                f"--datadir={self.folder / 'data'}", f"--socket={self._socket}", f"--port={self.port}",
                f"--pid-file={self.folder / 'pid'}", f"--log-error={self.folder / 'error.log'}",
                "--bind-address=127.0.0.1", "--skip-name-resolve", "--performance-schema=OFF",
                "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=16M",
                "--innodb-flush-log-at-trx-commit=2",
                "--open-files-limit=1024", "--max-connections=100",
                # Not what we want: our tables have to say it themselves.
                "--character-set-server=latin1",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # A kernel continues the stopped processes of a group whose last link to a terminal ends.
            start_new_session=True,
        )  # fmt: skip
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = self.folder / "error.log"
                said = log.read_text(errors="replace")[-2_000:] if log.exists() else "(nothing)"
                pytest.fail(f"MariaDB did not start, it said: {said}")
            time.sleep(0.05)

    def kill(self) -> None:
        """End it without a word (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def hang(self) -> None:
        """Let it accept connections and answer nothing (SIGSTOP)."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        status = Path(f"/proc/{self._process.pid}/status")
        deadline = time.monotonic() + _START_SECONDS
        while status.exists() and "State:\tT" not in status.read_text():
            if time.monotonic() > deadline:
                pytest.fail("MariaDB did not stop")
            time.sleep(0.01)

    def go_on(self) -> None:
        """The end of `hang`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def cpu_seconds(self) -> float:
        """CPU that the server has used so far."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sql(self, statement: str) -> str:
        """Run a statement as root; the answer as the command-line client prints it."""
        return self._run("mariadb", f"--socket={self._socket}", "-uroot", "--batch", "-e", statement)

    def new_database(self) -> str:
        """Make an empty database; gives its address."""
        name = f"t{next(self._numbers)}"
        user = f"'app'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"
        self.sql(f"CREATE DATABASE {name} CHARACTER SET latin1; GRANT ALL ON {name}.* TO {user}")
        return f"mysql://app:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def _user(self) -> list[str]:
        return ["--user=mysql"] if os.geteuid() == 0 else []

    def _answers(self) -> bool:
        command = [_program("mariadb-admin"), "--no-defaults", f"--socket={self._socket}", "-uroot", "ping"]
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0

    def _run(self, program: str, *arguments: str) -> str:
        command = [_program(program), "--no-defaults", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, f"{program}: {done.stdout}{done.stderr}"
        return done.stdout


def _program(name: str) -> str:
    path = shutil.which(name, path=os.defpath + ":/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed (Debian package mariadb-server)")
    return path


def _free_port() -> int:
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


_MEMORY: Final = Path("/dev/shm")


def _memory() -> Path | None:
    """A file system in memory with room for a server's files, where a new schema costs a tenth of the time."""
    try:
        roomy = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > 1 << 30
    except OSError:
        return None
    return _MEMORY if roomy else None


@contextmanager
def running_mariadb() -> Generator[MariaDB]:
    """A server in a folder of its own; skips the test where one is not installed."""
    for program in PROGRAMS:
        _program(program)
    # Not below pytest's folder, which only one user may read; and a socket's path has to be short.
    with tempfile.TemporaryDirectory(prefix="twitchaudio-mariadb-", dir=_memory()) as folder:
        server = MariaDB(Path(folder))
        try:
            server.install()
            server.start()
            yield server
        finally:
            server.kill()
