"""MySQL and MariaDB by their own programs; the password is in a file that only its owner may read."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Final

from sqlalchemy.engine import URL

from server.backups.archive import BackupError

_SECONDS: Final = 6 * 3_600.0
_QUESTION_SECONDS: Final = 60.0
_DUMP: Final = ("mariadb-dump", "mysqldump")
_CLIENT: Final = ("mariadb", "mysql")
_END: Final = b"-- Dump completed"
_PACKAGES: Final = "Debian package mariadb-client or default-mysql-client"
_OPTIONS: Final = (
    # One moment of the database, without a lock that keeps servers waiting.
    "--single-transaction", "--quick", "--skip-lock-tables", "--hex-blob", "--no-tablespaces",
    "--default-character-set=utf8mb4",
)  # fmt: skip


class MySql:
    """The database at an address, through the command-line programs. Raises BackupError."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self._name = url.database or ""

    def dump(self, destination: Path) -> None:
        """Write all tables as they are at one moment to a new file of its owner's. Raises OSError."""
        handle = os.open(destination, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as out:
            self._run(_DUMP, [*_OPTIONS, self._name], _SECONDS, stdout=out)
        with destination.open("rb") as file:
            file.seek(max(0, destination.stat().st_size - 1_000))
            if _END not in file.read():
                raise BackupError("The dump of the database is not whole: the disk may be full.")

    def load(self, source: Path) -> None:
        """Make the database hold what a dump holds, and nothing else; MySQL cannot do that in one step."""
        self.clear()
        with source.open("rb") as file:
            self._run(_CLIENT, ["--default-character-set=utf8mb4", self._name], _SECONDS, stdin=file)

    def clear(self) -> None:
        """Delete all of its tables."""
        drop = "".join(f"DROP TABLE IF EXISTS `{name}`;" for name in self.tables())
        self._ask(f"SET FOREIGN_KEY_CHECKS = 0;{drop}")

    def tables(self) -> list[str]:
        """The names of its tables."""
        found = self._ask("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        return [name for name in found.splitlines() if name and "`" not in name]

    def schema(self) -> str | None:
        """The revision of its schema; None for an empty database."""
        if "alembic_version" not in self.tables():
            return None
        return self._ask("SELECT version_num FROM alembic_version").strip() or None

    def connections(self) -> int:
        """How many other connections use it: a server that runs has some."""
        processes = "SELECT COUNT(*) FROM information_schema.processlist"
        return int(self._ask(processes + " WHERE db = DATABASE() AND id <> CONNECTION_ID()"))

    def _ask(self, statement: str) -> str:
        arguments = ["--batch", "--skip-column-names", "-e", statement, self._name]
        return self._run(_CLIENT, arguments, _QUESTION_SECONDS, stdout=subprocess.PIPE)

    def _run(
        self,
        programs: tuple[str, ...],
        arguments: list[str],
        seconds: float,
        *,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
    ) -> str:
        program = next(filter(None, map(shutil.which, programs)), None)
        if program is None:
            raise BackupError(
                f"The database is MySQL or MariaDB, which takes {' or '.join(programs)}, and neither is installed "
                f"({_PACKAGES})."
            )
        with self._access() as options:
            try:
                done = subprocess.run(  # noqa: S603 - our own arguments
                    [program, f"--defaults-file={options}", *arguments],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=subprocess.PIPE,
                    check=False,
                    timeout=seconds,
                )
            except subprocess.TimeoutExpired as error:
                raise BackupError(f"{Path(program).name} did not end within {seconds:.0f} s.") from error
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise BackupError(f"{Path(program).name} failed: {said[-1] if said else 'without a word'}")
        return (done.stdout or b"").decode()

    @contextmanager
    def _access(self) -> Generator[Path]:
        """A file of options with how to sign in, which exists while a program runs."""
        lines = ["[client]", f"host={_quoted(self._url.host or '')}", f"port={self._url.port or 3306}"]
        lines += ["protocol=tcp", f"user={_quoted(self._url.username or '')}"]
        lines.append(f"password={_quoted(str(self._url.password or ''))}")
        # As the server connects: without asking for a certificate. Programs that do not know an option ignore it.
        lines += ["loose-disable-ssl-verify-server-cert", "loose-get-server-public-key"]
        lines += ["[mysqldump]", "loose-set-gtid-purged=OFF", "loose-column-statistics=0", ""]
        with TemporaryDirectory(prefix="twitchaudio-") as folder:
            file = Path(folder) / "client.cnf"
            handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with contextlib.closing(os.fdopen(handle, "w", encoding="utf-8")) as out:
                out.write("\n".join(lines))
            yield file


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
