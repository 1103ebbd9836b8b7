"""Static files: read once, served compressed, under an address that changes with their content.

The website shares modules with the extension: they are in extension/lib in a checkout, and in js/lib of our own
folder in an installed wheel.
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

from server.entity_tags import tagged_response

FOLDER: Final = Path(__file__).parent / "static"

SHARED: Final = ("answer.js", "targets.js")
"""The extension's modules that the website serves as `js/lib/NAME`; pyproject.toml puts them into the wheel."""

EXTENSION: Final = Path(__file__).parents[2] / "extension"
"""The extension's folder; an installed wheel has none."""

LICENSE: Final = "license.txt"
"""The license, which is at the top of a checkout; pyproject.toml puts it here into the wheel."""

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
}

FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """A static file: its media type, its bytes, and its bytes compressed with gzip."""

    content_type: str
    plain: bytes = field(repr=False)
    gzipped: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files by name. Their paths contain `version`, so that browsers may cache them for a year."""

    version: str
    files: Mapping[str, Asset]

    def address(self, name: str) -> str:
        """The path of a file. Raises KeyError for a name that does not exist, so a typo cannot be shipped."""
        if name not in self.files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    async def serve(self, request: web.Request) -> web.Response:
        """Answer `/static/{version}/{name}`; another version gets the current file, which is not to be cached."""
        asset = self.files.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        current = request.match_info["version"] == self.version
        headers = {
            "Cache-Control": FOREVER if current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        zipped = "gzip" in request.headers.get("Accept-Encoding", "")
        if zipped:
            headers["Content-Encoding"] = "gzip"
        body = asset.gzipped if zipped else asset.plain
        return tagged_response(request, body, content_type=asset.content_type, headers=headers)


def website_files() -> Mapping[str, Path]:
    """The website's static files by name, with the shared modules."""
    shared = {f"js/lib/{name}": EXTENSION / "lib" / name for name in SHARED}
    return shared | {LICENSE: EXTENSION.parent / "LICENSE"} | files_below(FOLDER)


def files_below(folder: Path) -> dict[str, Path]:
    """Every file of a known type below a folder, by its path in it."""
    return {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in _TYPES}


def load_assets(paths: Mapping[str, Path]) -> Assets:
    """Read files into memory. Raises KeyError for a name whose suffix is not in `_TYPES`."""
    files: dict[str, Asset] = {}
    digest = hashlib.sha256()
    for name, path in sorted(paths.items()):
        content_type, plain = _TYPES[Path(name).suffix], path.read_bytes()
        digest.update(f"{name}\0{len(plain)}\0".encode() + plain)
        files[name] = Asset(content_type, plain, gzip.compress(plain, mtime=0))
    return Assets(digest.hexdigest()[:12], files)
