"""A simulated AudD: checks what the real one checks, and gives the answers that are set."""

import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Self

from aiohttp import web
from yarl import URL

from fingerprint.domain.audio import Pcm
from tests.providers.service import Form, Reply, Script, give, heard_in, read_form, served

API_TOKEN: Final = "test0000audd0000token0000secret1"
MAX_BYTES: Final = 10_000_000

BLOCKS: Final = ("apple_music", "spotify", "deezer", "napster", "musicbrainz")


def error(code: int, message: str = "An error.") -> dict[str, Any]:
    return {"status": "error", "error": {"error_code": code, "error_message": message}}


def reply(code: int, *, http: int = 200) -> Reply:
    return Reply(status=http, body=json.dumps(error(code)).encode())


@dataclass(slots=True)
class AuddService:
    """The service; `found` is the result that it gives, None for no match."""

    script: Script = field(default_factory=Script)
    asked: list[int] = field(default_factory=list[int])
    url: URL = field(default_factory=lambda: URL("http://unserved.invalid"))
    found: dict[str, Any] | None = None
    compare: Callable[[Pcm], dict[str, Any] | None] | None = None
    """Decides instead of `found`, by what it hears."""

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncGenerator[Self]:
        service = cls()
        async with served(web.post("/", service.recognize)) as url:
            service.url = url
            yield service

    def environment(self) -> dict[str, str]:
        return {"AUDD_API_TOKEN": API_TOKEN, "TWITCHAUDIO_AUDD_URL": str(self.url)}

    async def recognize(self, request: web.Request) -> web.StreamResponse:
        scripted = self.script.next()
        if request.content_type != "multipart/form-data":
            return web.json_response(error(700, "No file or url was sent."))
        form = await read_form(request)
        self.asked.append(len(form.files.get("file", ("", b""))[1]))
        if scripted is not None:
            return await give(request, scripted)
        return web.json_response(self._answer(form))

    def _answer(self, form: Form) -> dict[str, Any]:  # noqa: PLR0911 - one for each check
        if not form.texts.get("api_token"):
            return error(901, "No api_token was passed.")
        if form.texts["api_token"] != API_TOKEN:
            return error(900, "Wrong API token.")
        if "file" not in form.files:
            return error(700, "No file or url was sent.")
        wanted = [word for word in form.texts.get("return", "").split(",") if word]
        if set(wanted) - set(BLOCKS):
            return error(906, "There is no such metadata.")
        file = form.files["file"][1]
        if len(file) > MAX_BYTES:
            return error(400, "Too big an audio file.")
        heard = heard_in(file)
        if heard is None:
            return error(300, "Fingerprinting failed: there was a problem with the sound.")
        found = self.found if self.compare is None else self.compare(heard)
        if found is None:
            return {"status": "success", "result": None}
        blocks = {name: value for name, value in found.items() if name not in BLOCKS or name in wanted}
        return {"status": "success", "result": blocks}
