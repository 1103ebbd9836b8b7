"""`/privacy` and `/extension`: pages that need nothing from the database."""

import asyncio
import io
import json
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from server import keys
from server.entity_tags import tagged_response
from server.songs.finds import FIND_DAYS
from server.web.assets import EXTENSION
from server.web.render import render

NOT_SHIPPED: Final = frozenset({"store", "types.d.ts", "CHANGELOG.md"})
"""What of the extension's folder browsers do not need."""

_TIME: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest time that an archive can hold: the same files are the same bytes."""


async def privacy(request: web.Request) -> web.Response:
    """What is stored and for how long, with this server's settings."""
    settings = request.app[keys.SETTINGS]
    keep_days = settings.pipeline.keep_days
    context = {
        "keep_days": keep_days,
        "unknown_days": min(settings.pipeline.unknown_days, keep_days or settings.pipeline.unknown_days),
        "find_days": min(FIND_DAYS, keep_days or FIND_DAYS),
        "log_days": settings.log_days,
        "log_address_days": settings.log_address_days,
    }
    return render("privacy.html", request, context)


async def extension(request: web.Request) -> web.Response:
    """How to get the browser extension, and the address to give it."""
    manifest = await asyncio.to_thread(_manifest)
    gecko = manifest.get("browser_specific_settings", {}).get("gecko", {})
    context = {
        "download": bool(manifest),
        "chrome": manifest.get("minimum_chrome_version"),
        "firefox": str(gecko.get("strict_min_version", "")).partition(".")[0],
        "origin": str(request.app[keys.ORIGIN](request)),
    }
    return render("extension.html", request, context)


async def extension_archive(request: web.Request) -> web.Response:
    """The extension as an archive to unpack and load; 404 where this server has no copy of it."""
    if not await asyncio.to_thread(_manifest):
        raise web.HTTPNotFound
    headers = {
        "Cache-Control": "public, max-age=3600",
        "Content-Disposition": 'attachment; filename="twitchaudio-extension.zip"',
    }
    body = await asyncio.to_thread(archive_of, EXTENSION)
    return tagged_response(request, body, content_type="application/zip", headers=headers)


@lru_cache(maxsize=1)
def archive_of(folder: Path) -> bytes:
    """A folder as a ZIP archive, in one folder of its own. Blocks."""
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder)
            if path.is_file() and not NOT_SHIPPED & set(name.parts):
                entry = zipfile.ZipInfo(f"twitchaudio-extension/{name.as_posix()}", _TIME)
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)
    return output.getvalue()


@lru_cache(maxsize=1)
def _manifest() -> dict[str, Any]:
    try:
        return json.loads((EXTENSION / "manifest.json").read_text(encoding="utf-8"))
    except OSError:
        return {}
