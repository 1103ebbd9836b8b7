"""Makes the two store archives of the extension: the same bytes from the same files, wherever and whenever.

With --server, archives of an operator's own, which ask that server without any choice by the viewer.
"""

import argparse
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

ROOT: Final = Path(__file__).resolve().parent.parent
EXTENSION: Final = ROOT / "extension"
STORES: Final = ("chrome", "firefox")
TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that an archive can hold."""

NOT_SHIPPED: Final = frozenset({"types.d.ts", "store", "CHANGELOG.md"})
MAX_NAME: Final = 30
"""Firefox's store cuts names at 50 characters, of which some are ours."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Whose server the archives ask: its address, such as https://songs.example, and what viewers call it."""

    server: str
    name: str

    @property
    def host(self) -> str:
        """The server's host name."""
        return urlsplit(self.server).hostname or ""


def main() -> int:
    """Write both archives and print their names, sizes and SHA-256."""
    parser = argparse.ArgumentParser(
        prog="scripts/package-extension",
        description=(__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    parser.add_argument(
        "--server", metavar="ADDRESS", help="build this server's address in: https://songs.example"
    )
    parser.add_argument("--name", help="what its viewers call it, at most 30 characters; default: the host name")
    given = parser.parse_args()
    try:
        operator = operator_from(given.server, given.name)
    except ValueError as error:
        parser.error(str(error))
    folder: Path = given.output
    folder.mkdir(parents=True, exist_ok=True)
    for store in STORES:
        file = write_archive(store, folder, operator)
        content = file.read_bytes()
        print(f"{file.name}  {len(content)} bytes  sha256 {hashlib.sha256(content).hexdigest()}")
    if operator:
        print(f"Firefox's redirect address, for your Twitch application: {firefox_redirect(operator)}")
    return 0


def operator_from(server: str | None, name: str | None) -> Operator | None:
    """The operator of the command line; None when no server is given. Raises ValueError with the reason."""
    if server is None:
        if name is not None:
            raise ValueError("--name needs --server")
        return None
    reason = f"--server {server!r} is not the https address of a server, such as https://songs.example"
    try:
        parts = urlsplit(server.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(reason) from None
    local = parts.scheme == "http" and host in ("127.0.0.1", "localhost")
    path = parts.path.rstrip("/")
    plain = re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII) and not (
        parts.query or parts.fragment or parts.username or parts.password
    )
    good = host is not None and re.fullmatch(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?", host) and ".." not in host
    if not good or not plain or not (parts.scheme == "https" or local):
        raise ValueError(reason)
    shown = (name if name is not None else host or "").strip()
    if not 1 <= len(shown) <= MAX_NAME or not shown.isprintable():
        raise ValueError(f"--name {shown!r} has not 1 to {MAX_NAME} printable characters")
    usual = {"https": 443, "http": 80}[parts.scheme]
    origin = f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")
    return Operator(origin + path, shown)


def version() -> str:
    """The extension's version, from the repository's tags: X.Y.Z at the tag vX.Y.Z, X.Y.Z.N at N commits after it.

    Where there are no tags, as in a copy without its history, the manifest's.
    """
    manifest: dict[str, Any] = json.loads((EXTENSION / "manifest.json").read_text(encoding="utf-8"))
    command = ("git", "describe", "--tags", "--long", "--match", "v[0-9]*")
    try:
        told = subprocess.run(  # noqa: S603 - of constants
            command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return manifest["version"]
    found = re.fullmatch(r"v(\d+\.\d+\.\d+)-(\d+)-g[0-9a-f]+", told.strip())
    if found is None:
        return manifest["version"]
    # The stores count to 65535.
    return found[1] if found[2] == "0" else f"{found[1]}.{min(int(found[2]), 65535)}"


def add_on_id(operator: Operator | None) -> str:
    """Firefox's id of the extension: each operator's is an add-on of its own."""
    if operator is None:
        manifest: dict[str, Any] = json.loads((EXTENSION / "manifest.json").read_text(encoding="utf-8"))
        return manifest["browser_specific_settings"]["gecko"]["id"]
    return f"twitchaudio@{operator.host}"


def firefox_redirect(operator: Operator | None) -> str:
    """Where Twitch sends Firefox's users back to after a sign-in; it follows from the add-on's id."""
    digest = hashlib.sha1(add_on_id(operator).encode(), usedforsecurity=False).hexdigest()
    return f"https://{digest}.extensions.allizom.org/twitch"


def manifest_for(store: str, operator: Operator | None = None) -> dict[str, Any]:
    """The one manifest without what the other store complains of; hosts are asked for when they are needed."""
    manifest: dict[str, Any] = json.loads((EXTENSION / "manifest.json").read_text(encoding="utf-8"))
    manifest["version"] = version()
    # Unpacked, the extension may ask a server on the same computer at once; from a store only when that is chosen.
    hosts: list[str] = manifest["host_permissions"]
    local = [host for host in hosts if host.startswith("http:")]
    manifest["host_permissions"] = [host for host in hosts if host not in local]
    manifest["optional_host_permissions"] += local
    if operator:
        manifest["name"] = f"TwitchAudio: {operator.name}"
        pattern = f"{urlsplit(operator.server).scheme}://{operator.host}/*"
        manifest["host_permissions"].append(pattern)
        manifest["optional_host_permissions"] = [
            host for host in manifest["optional_host_permissions"] if host != pattern
        ]
        manifest["browser_specific_settings"]["gecko"]["id"] = add_on_id(operator)
    if store == "chrome":
        del manifest["browser_specific_settings"], manifest["background"]["scripts"]
        del manifest["key"]  # the store has its own
    else:
        del manifest["key"], manifest["minimum_chrome_version"], manifest["background"]["service_worker"]
    return manifest


def write_archive(store: str, folder: Path, operator: Operator | None = None) -> Path:
    """Write the archive of a store, `chrome` or `firefox`; gives its path."""
    manifest = manifest_for(store, operator)
    whose = f"-{operator.host}" if operator else ""
    file = folder / f"twitchaudio-{manifest['version']}{whose}-{store}.zip"
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(shipped(), key=lambda each: each.relative_to(EXTENSION).as_posix()):
            name = path.relative_to(EXTENSION).as_posix()
            content = path.read_bytes()
            if name == "manifest.json":
                content = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode()
            if name == "lib/operator.js" and operator:
                content = _operator_script(content, operator)
            entry = zipfile.ZipInfo(name, TIME)
            entry.compress_type = zipfile.ZIP_STORED  # compressors differ between versions
            entry.external_attr = 0o100644 << 16
            entry.create_system = 3
            archive.writestr(entry, content)
    return file


def _operator_script(script: bytes, operator: Operator) -> bytes:
    value = json.dumps({"server": operator.server, "name": operator.name}, ensure_ascii=True)
    line = b"export const OPERATOR = null;"
    assert script.count(line) == 1
    return script.replace(line, f"export const OPERATOR = {value};".encode())


def shipped() -> list[Path]:
    """The files that users get."""
    return [
        path
        for path in EXTENSION.rglob("*")
        if path.is_file()
        and not NOT_SHIPPED & set(path.relative_to(EXTENSION).parts)
        and not path.name.startswith(".")
    ]


if __name__ == "__main__":
    sys.exit(main())
