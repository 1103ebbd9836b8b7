"""Static files: read once, served compressed, under an address that changes with their content."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

FOLDER: Final = Path(__file__).parent / "static"

_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: what it is, as it is, and compressed."""

    content_type: str
    plain: bytes = field(repr=False)
    gzipped: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Assets:
    """All static files by name. `version` stands in their addresses, so that browsers may keep them for ever."""

    version: str
    files: Mapping[str, Asset]

    def address(self, name: str) -> str:
        """Where a file is served. Raises KeyError for a name that does not exist, so a typo cannot be shipped."""
        if name not in self.files:
            raise KeyError(name)
        return f"/static/{self.version}/{name}"

    async def serve(self, request: web.Request) -> web.Response:
        """Answer a request for `/static/{version}/{name}`; an older version gets today's file, kept by nobody."""
        asset = self.files.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        current = request.match_info["version"] == self.version
        headers = {
            "Content-Type": asset.content_type,
            "Cache-Control": FOREVER if current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=asset.gzipped, headers=headers)
        return web.Response(body=asset.plain, headers=headers)


def load_assets(folder: Path = FOLDER) -> Assets:
    """Read every file of a known type below a folder."""
    files: dict[str, Asset] = {}
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        content_type = _TYPES.get(path.suffix)
        if content_type is None:
            continue
        name, plain = path.relative_to(folder).as_posix(), path.read_bytes()
        digest.update(f"{name}\0{len(plain)}\0".encode() + plain)
        files[name] = Asset(content_type, plain, gzip.compress(plain, mtime=0))
    return Assets(digest.hexdigest()[:12], files)
