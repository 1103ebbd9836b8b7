"""Sends the extension's archive to addons.mozilla.org (API v5) or to the Chrome Web Store (API v2).

Both stores want the very first version by hand, with the texts of extension/store/. Without --really nothing is
sent: the requests are printed, without secrets.
"""

import argparse
import asyncio
import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiohttp import ClientError, ClientSession, ClientTimeout, FormData

from scripts.package_extension import EXTENSION, ROOT, add_on_id, write_archive

AMO: Final = "https://addons.mozilla.org/api/v5/addons"
CHROME: Final = "https://chromewebstore.googleapis.com"
GOOGLE_TOKEN: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
SECONDS: Final = 120.0
POLL_SECONDS: Final = 10.0
MAX_POLLS: Final = 60
JWT_SECONDS: Final = 240
"""Mozilla takes up to 300."""

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "firefox": ("AMO_JWT_ISSUER", "AMO_JWT_SECRET"),
    "chrome": (
        *("CHROME_PUBLISHER_ID", "CHROME_ITEM_ID"),
        *("CHROME_CLIENT_ID", "CHROME_CLIENT_SECRET", "CHROME_REFRESH_TOKEN"),
    ),
}


class PublishError(Exception):
    """A store has refused, or cannot be asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `secret` is an Authorization header, which is never printed."""

    method: str
    url: str
    shown: str
    """What the body holds, in words."""
    secret: str = ""
    json: Any = None
    form: Mapping[str, str] | None = None
    file: Path | None = None
    file_field: str = ""
    """The form's field that takes the file; empty when the file is the body."""


Send = Callable[[Request], Awaitable[Any]]
"""Sends a request and gives the JSON of its response."""


def jwt(issuer: str, secret: str, *, now: float, nonce: str) -> str:
    """A token for one request to addons.mozilla.org (RFC 7519, HS256)."""

    def encoded(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    head = {"alg": "HS256", "typ": "JWT"}
    claims = {"iss": issuer, "jti": nonce, "iat": int(now), "exp": int(now) + JWT_SECONDS}
    signed = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (head, claims))
    return f"{signed}.{encoded(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


def newest_changes() -> str:
    """The newest part of the extension's changelog, as plain text."""
    text = (EXTENSION / "CHANGELOG.md").read_text(encoding="utf-8")
    return re.split(r"^## .*$", text, flags=re.MULTILINE)[1].strip()


async def publish_firefox(
    archive: Path, given: Mapping[str, str], send: Send, *, listed: bool, pause: Callable[[], Awaitable[None]]
) -> str:
    """Upload, wait for the validation, and make a version of it; gives what happened."""

    def secret() -> str:
        return "JWT " + jwt(
            given["AMO_JWT_ISSUER"], given["AMO_JWT_SECRET"], now=time.time(), nonce=secrets.token_hex(16)
        )

    channel = "listed" if listed else "unlisted"
    form = {"channel": channel}
    shown = f"{archive.name}, channel {channel}"
    upload = await send(
        Request("POST", f"{AMO}/upload/", shown, secret(), form=form, file=archive, file_field="upload")
    )
    for _ in range(MAX_POLLS):
        if upload["processed"]:
            break
        await pause()
        upload = await send(Request("GET", f"{AMO}/upload/{upload['uuid']}/", "", secret()))
    if not upload["processed"]:
        raise PublishError("the validation has not ended; look at the upload on addons.mozilla.org")
    if not upload["valid"]:
        said = [str(each.get("message")) for each in upload.get("validation", {}).get("messages", [])]
        raise PublishError("the archive was refused: " + "; ".join(said))
    body = {
        "upload": upload["uuid"],
        "release_notes": {"en-US": newest_changes()},
        "approval_notes": (EXTENSION / "store/review.md").read_text(encoding="utf-8"),
    }
    url = f"{AMO}/addon/{add_on_id(None)}/versions/"
    version = await send(
        Request("POST", url, "the upload, release notes, notes for reviewers", secret(), json=body)
    )
    return f"version {version['version']} waits for its signature: {version['file']['url']}"


async def publish_chrome(
    archive: Path, given: Mapping[str, str], send: Send, *, pause: Callable[[], Awaitable[None]]
) -> str:
    """Upload and publish; gives what happened."""
    form = {
        "grant_type": "refresh_token",
        "client_id": given["CHROME_CLIENT_ID"],
        "client_secret": given["CHROME_CLIENT_SECRET"],
        "refresh_token": given["CHROME_REFRESH_TOKEN"],
    }
    token = await send(Request("POST", GOOGLE_TOKEN, "the refresh token", form=form))
    secret = f"Bearer {token['access_token']}"
    item = f"publishers/{given['CHROME_PUBLISHER_ID']}/items/{given['CHROME_ITEM_ID']}"
    upload = await send(Request("POST", f"{CHROME}/upload/v2/{item}:upload", archive.name, secret, file=archive))
    state = upload["uploadState"]
    for _ in range(MAX_POLLS):
        if state != "IN_PROGRESS":
            break
        await pause()
        state = (await send(Request("GET", f"{CHROME}/v2/{item}:fetchStatus", "", secret)))["lastAsyncUploadState"]
    if state != "SUCCEEDED":
        raise PublishError(f"the upload has not succeeded: {state}")
    published = await send(Request("POST", f"{CHROME}/v2/{item}:publish", "nothing", secret, json={}))
    return f"submitted: {published.get('state', 'for review')}"


async def print_instead(request: Request) -> Any:
    """Print a request in place of sending it; gives a response with which the next one can be shown."""
    print(f"{request.method} {request.url}" + (f"  ({request.shown})" if request.shown else ""))
    return {
        "uuid": "UPLOAD",
        "processed": True,
        "valid": True,
        "version": "(dry run)",
        "file": {"url": "(dry run)"},
        "access_token": "",
        "uploadState": "SUCCEEDED",
        "state": "(dry run)",
    }


def sender(session: ClientSession) -> Send:
    """Sends over HTTP. Raises PublishError with the store's own words."""

    async def send(request: Request) -> Any:
        content = None if request.file is None else await asyncio.to_thread(request.file.read_bytes)
        data: Any = content
        if request.form is not None:
            data = FormData(dict(request.form))
            if content is not None and request.file is not None:
                data.add_field(request.file_field, content, filename=request.file.name)
        headers = {"Authorization": request.secret} if request.secret else {}
        try:
            async with session.request(
                request.method, request.url, data=data, json=request.json, headers=headers
            ) as answer:
                text = await answer.text()
                if answer.status >= 400:
                    raise PublishError(f"{request.method} {request.url}: {answer.status} {text[:500]}")
                return json.loads(text)
        except (ClientError, TimeoutError, ValueError) as error:
            raise PublishError(f"{request.method} {request.url}: {error or type(error).__name__}") from error

    return send


async def publish(store: str, archive: Path, given: Mapping[str, str], send: Send, *, listed: bool = True) -> str:
    """Send an archive to a store, `firefox` or `chrome`; gives what happened. Raises PublishError."""

    async def pause() -> None:
        await asyncio.sleep(POLL_SECONDS)

    if store == "firefox":
        return await publish_firefox(archive, given, send, listed=listed, pause=pause)
    return await publish_chrome(archive, given, send, pause=pause)


async def really(store: str, archive: Path, given: Mapping[str, str], *, listed: bool) -> str:
    """Send it over HTTP."""
    async with ClientSession(timeout=ClientTimeout(total=SECONDS)) as session:
        return await publish(store, archive, given, sender(session), listed=listed)


def main() -> int:
    """Run; exit status 1 when the store refuses, 2 for a wrong command or missing variables."""
    parser = argparse.ArgumentParser(prog="scripts/publish-extension", description=(__doc__ or "").strip())
    parser.add_argument("store", choices=tuple(NEEDED))
    parser.add_argument(
        "--really", action="store_true", help="send it; without this the requests are only printed"
    )
    parser.add_argument(
        "--unlisted", action="store_true", help="Firefox: sign it for distribution outside addons.mozilla.org"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", metavar="DIR", help="default: dist")
    options = parser.parse_args()
    names = NEEDED[options.store]
    environment = {name: os.environ.get(name, "") for name in names}  # noqa: TID251 - no part of the product
    missing = [name for name in names if not environment[name]]
    if options.really and missing:
        parser.error(f"set {', '.join(missing)}")
    options.output.mkdir(parents=True, exist_ok=True)
    archive = write_archive(options.store, options.output)
    listed: bool = not options.unlisted
    try:
        if options.really:
            print(asyncio.run(really(options.store, archive, environment, listed=listed)))
        else:
            shown = {
                name: environment[name] if name.endswith("_ID") and environment[name] else name for name in names
            }
            asyncio.run(publish(options.store, archive, shown, print_instead, listed=listed))
            print(
                "Nothing was sent. With --really it is"
                + (f", once {', '.join(missing)} are set." if missing else ".")
            )
    except PublishError as error:
        print(f"scripts/publish-extension: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
