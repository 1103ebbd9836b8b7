"""The website in the visitor's language, on a real server."""

import re
from pathlib import Path

from aiohttp import ClientSession

from fingerprint.clock import SystemClock
from tests.api_client import open_api
from tests.browser_client import PAGE
from tests.fakes import FakePipeline

PAGES = ("/", "/?id=none", "/extension", "/finds", "/privacy", "/overlay", "/channels/somechannel", "/nothing")


async def _page(api: ClientSession, path: str, accepts: str = "") -> tuple[str, str, str]:
    """A page, its language as its headers say, and the cookie that it sets."""
    headers = {**PAGE, **({"Accept-Language": accepts} if accepts else {})}
    async with api.get(path, headers=headers) as response:
        text = await response.text()
        language = response.headers["Content-Language"]
        assert f'<html lang="{language}"' in text, path
        if not path.startswith("/docs"):
            assert response.headers["Vary"] == "Accept-Language, Cookie"
        return text, language, response.headers.get("Set-Cookie", "")


async def test_pages_are_in_the_visitors_language(tmp_path: Path) -> None:
    async with open_api(FakePipeline(SystemClock()), tmp_path) as api:
        for path in PAGES:
            assert (await _page(api, path, "de-AT, en;q=0.5"))[1] == "de", path
            assert (await _page(api, path))[1:] == ("en", ""), path
        text, language, cookie = await _page(api, "/privacy?lang=fr", "de")
        assert language == "fr"
        assert cookie == f"lang=fr; HttpOnly; Max-Age={365 * 86_400}; Path=/; SameSite=Lax"
        assert '<link rel="canonical" href="http://' in text
        assert re.findall(r'rel="alternate" hreflang="(\w+)" href="[^"]*/privacy\?lang=(\w+)"', text) == [
            (code, code) for code in ("en", "de", "es", "fr")
        ]
        assert '<a href="/privacy?lang=es" lang="es" hreflang="es">Español</a>' in text
        # The cookie was kept. An unknown language is none.
        assert (await _page(api, "/extension?lang=tlh", "de"))[1:] == ("fr", "")
        assert (await _page(api, "/docs?lang=de", "de"))[1] == "en"
        assert (await _page(api, "/overlay/somechannel?lang=es&test=1"))[1] == "es"
        text = (await _page(api, "/overlay/somechannel?lang=de&size=9"))[0]
        assert "nimmt eine ganze Zahl von 50 bis 400 (Prozent), nicht „9“." in text
        assert "Prüfe die Adresse des Overlays" in text
        # Without JavaScript: a form whose answer is a problem. An overlay in another language changed nothing.
        async with api.post("/", data={"target": "not a channel!"}, headers=PAGE) as response:
            text = await response.text()
            assert response.status == 400
            assert "avons pas compris" in text
        async with api.post(
            "/api/v1/identifications", json={"channel": "!"}, headers={"Accept-Language": "es"}
        ) as said:
            assert (await said.json())["title"] == "The request is not valid"
